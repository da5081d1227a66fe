"""Names of the published data sets' classes, in the order of their labels."""

from string import ascii_lowercase, ascii_uppercase, digits

__all__ = ["CIFAR10", "DIGITS", "EMNIST", "FASHION", "KUZUSHIJI"]

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
