"""Which channel a text speaks of: names of files, labels of images."""

from dssl_bio.vocabulary import CHANNELS

SYNONYMS = {"DNA": ("dna", "hoechst", "dapi"), "ER": ("er", "cona", "concanavalin"), "RNA": ("rna", "syto"),
            "AGP": ("agp", "phalloidin", "golgi", "actin", "wga"),
            "Mito": ("mito", "mitotracker")}


def channel_in_name(file_name: str, channels: tuple[str, ...] = CHANNELS) -> str | None:
    """The channel that a file's name tells; None where it tells none or several. Order is never a hint."""
    parts = "".join(character.lower() if character.isalpha() else " " for character in file_name).split()
    found = {channel for channel in channels
             if any(part in (channel.lower(), *map(str.lower, SYNONYMS.get(channel, ()))) or
                    (part.startswith("orig") and part[4:] == channel.lower()) for part in parts)}
    return found.pop() if len(found) == 1 else None
