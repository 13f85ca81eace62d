"""What the authors' code and figures give on the synthetic study (arXiv 2410.23996), to stand beside ours."""

FIGURE_4A = {0.001: (0.673, 0.783, 0.680), 0.01: (0.672, 0.783, 0.680), 0.1: (0.668, 0.778, 0.677),
             0.5: (0.650, 0.767, 0.658), 1.0: (0.641, 0.756, 0.646), 5.0: (0.614, 0.719, 0.627),
             10.0: (0.608, 0.709, 0.610), 50.0: (0.596, 0.690, 0.586), 100.0: (0.587, 0.683, 0.577),
             300.0: (0.504, 0.589, 0.515), 500.0: (0.504, 0.572, 0.514), 1000.0: (0.504, 0.564, 0.514)}
"""Accuracy of the shared code on (Y_s1, Y_c, Y_s2) by the authors' beta, read off the figure (about 0.003)."""

REDUCED = {0.0: (0.662, 0.768, 0.635), 0.1: (0.664, 0.768, 0.626), 1.0: (0.636, 0.755, 0.607),
           10.0: (0.619, 0.719, 0.587), 100.0: (0.612, 0.691, 0.567), 1000.0: (0.580, 0.672, 0.555)}
"""The same, measured by running the authors' code at our reduced size, one seed."""

REDUCED_SPECIFIC = {0.0: (0.746, 0.689), 0.1: (0.705, 0.567), 1.0: (0.698, 0.569), 10.0: (0.677, 0.586),
                    100.0: (0.676, 0.575)}
"""Accuracy of the first specific code on (Y_s1, Y_c) by lambda at beta 0.1, authors' code at our reduced size."""

FIGURE_4B = {0.0: (0.740, 0.670), 0.001: (0.741, 0.585), 0.01: (0.723, 0.578), 0.1: (0.713, 0.574), 1.0: (0.688, 0.561),
             10.0: (0.677, 0.558), 100.0: (0.670, 0.561)}
"""The same read off figure 4b; the order of lambda along the curve is inferred."""
