"""Names of the published data sets' classes, in the order of their labels."""

from string import ascii_lowercase, ascii_uppercase, digits

__all__ = [
    "CIFAR10",
    "DIGITS",
    "EMNIST",
    "EMOJI_GROUPS",
    "FACE_ATTRIBUTES",
    "FASHION",
    "KUZUSHIJI",
]

DIGITS = tuple(digits)
"""Of MNIST, EMNIST's digits and SVHN, whose label of a 0 is 0 here."""

FASHION: tuple[str, ...] = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
FASHION += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
"""The table of the data set's README and of arXiv 1708.07747."""

KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
"""The characters of kmnist_classmap.csv, o to wo, in Latin letters."""

CIFAR10: tuple[str, ...] = ("airplane", "automobile", "bird", "cat", "deer")
CIFAR10 += ("dog", "frog", "horse", "ship", "truck")
"""``label_names`` of batches.meta."""

APART = "abdefghnqrt"
"""Small letters that EMNIST's merged sets keep apart from the capitals."""

EMNIST: dict[str, tuple[str, ...]] = {
    "balanced": (*digits, *ascii_uppercase, *APART),
    "byclass": (*digits, *ascii_uppercase, *ascii_lowercase),
    "bymerge": (*digits, *ascii_uppercase, *APART),
    "digits": DIGITS,
    "letters": tuple(ascii_lowercase),  # capitals and small letters together
    "mnist": DIGITS,
}
"""The tables emnist-*-mapping.txt."""

FACE_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "hair": (
        "bald",
        "balding",
        "beanie",
        "bob with bangs",
        "bob",
        "bun and undercut",
        "buzz cut",
        "cap",
        "big curls",
        "curly bun and headband",
        "curly high top",
        "very long",
        "fade",
        "long",
        "mohawk",
        "pigtails",
        "comb-over",
        "comb-over and sideburns",
        "shaved on one side",
        "straight bun and headband",
    ),
    "hair_colour": ("black", "blond", "brown", "ginger", "white", "pink", "red"),
    "eyes": ("glasses", "happy", "open", "closed", "sunglasses", "wink"),
    "facial_hair": (
        "none",
        "full beard",
        "goatee",
        "pointed moustache",
        "stubble",
        "soul patch",
        "walrus moustache",
    ),
    "mouth": ("big smile", "frown", "red lips", "pacifier", "smile", "smirk", "open"),
    "nose": ("medium", "small", "wrinkled"),
    "clothes": ("checked shirt", "sweater", "scarf top", "t-shirt"),
    "clothes_colour": ("blue", "green", "pink", "purple", "red", "turquoise", "yellow"),
    "skin": ("1 (lightest)", "2", "3", "4", "5", "6", "7 (darkest)"),
}
"""The attributes of the portraits and their values, in the order of their columns and numbers."""

EMOJI_GROUPS: tuple[str, ...] = ("smileys & emotion", "people & body", "animals & nature")
EMOJI_GROUPS += ("food & drink", "travel & places", "activities", "objects", "symbols", "flags")
"""The groups of Unicode CLDR, in its order."""
