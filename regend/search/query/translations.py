"""Translations of documents: which file is one, of what, and in which languages a query is.

Pure. A path tells a language by a code of ISO 639-1, with a region or without, or by its English name: `README.ko.md`,
`manual/ja/guide.md`, `i18n/fr/guide.md`. Words such as `id`, `is` and `to` are codes, too. So most patterns count only
where the original is there, which the caller looks up.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODES = _listed(
    """aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch cn co cr cs cu cv cy cz da de dv dz ee el
    eo es et eu fa ff fi fil fj fo fr fy ga gd gl gn gr gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
    ja jp jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb
    nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss
    st su sv sw ta te tg th ti tk tl tn to tr tt tw ty ua ug uk ur uz ve vi vn vo wa wo xh yi yo za zh zu"""
)
_ALIASES = {"cn": "zh", "tw": "zh", "jp": "ja", "kr": "ko", "ua": "uk", "cz": "cs", "gr": "el", "vn": "vi"}
_NAMES = {
    "arabic": "ar", "bengali": "bn", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr",
    "czech": "cs", "danish": "da", "deutsch": "de", "dutch": "nl", "espanol": "es", "estonian": "et", "finnish": "fi",
    "francais": "fr", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu",
    "indonesian": "id", "italian": "it", "italiano": "it", "japanese": "ja", "korean": "ko", "latvian": "lv",
    "lithuanian": "lt", "malay": "ms", "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt",
    "romanian": "ro", "russian": "ru", "serbian": "sr", "slovak": "sk", "slovenian": "sl", "spanish": "es",
    "swedish": "sv", "thai": "th", "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
_AMBIGUOUS = _listed(
    """am an as be bm cs cv fi ga gl he hi id ie io is it la lt mi ml mt my na ne ng no nr om or os pa pi pl ps se sg si
    sk sl sm sn so ss st sv ta te tg ti to tt ty vi vo"""
)
"""Codes that are words, names of libraries and parts of names besides."""
_REGION = r"(?:[-_](?:[a-z]{2}|hans|hant|latn|cyrl|419)){0,2}"
_CODE = re.compile(rf"([a-z]{{2,3}})({_REGION})")
_NAME = re.compile(rf"(?P<stem>.+?)(?P<mark>[._-])(?P<code>[a-z]{{2,3}}{_REGION}|{'|'.join(_NAMES)})(?P<end>\.[a-z]+)")
_SUFFIXED = re.compile(rf"(?P<stem>.+?)(?P<mark>[._-])(?P<code>[a-z]{{2}}{_REGION}|{'|'.join(_NAMES)})")
_DOCUMENTS = _listed("md mdx markdown rst txt adoc asciidoc org tex")
_TABLES = _listed("html htm json jsonc yml yaml xml po properties strings stringsdict resx resw ftl arb toml xlf xliff")
_LOCALE_FOLDERS = _listed("i18n l10n locale locales translation translations translated_docs")
"""Folders in which everything in the folder of a language is a translation, whatever it is of."""
_APPLE_FOLDER = ".lproj"
_ENGLISH = ("en", "en-US", "en_US", "en-us", "EN", "english")

_SCRIPTS = {
    **dict.fromkeys(_listed("ab av ba be bg ce cu cv kk kv ky mk mn os ru sr tg tt uk"), ("CYRILLIC",)),
    **dict.fromkeys(_listed("ar fa ks ku ps sd ug ur"), ("ARABIC",)),
    **dict.fromkeys(_listed("hi mr ne sa"), ("DEVANAGARI",)),
    "am": ("ETHIOPIC",), "ti": ("ETHIOPIC",), "as": ("BENGALI",), "bn": ("BENGALI",), "bo": ("TIBETAN",),
    "dv": ("THAANA",), "el": ("GREEK",), "gu": ("GUJARATI",), "he": ("HEBREW",), "hy": ("ARMENIAN",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"), "ka": ("GEORGIAN",), "km": ("KHMER",), "kn": ("KANNADA",),
    "ko": ("HANGUL",), "lo": ("LAO",), "ml": ("MALAYALAM",), "my": ("MYANMAR",), "or": ("ORIYA",), "pa": ("GURMUKHI",),
    "si": ("SINHALA",), "ta": ("TAMIL",), "te": ("TELUGU",), "th": ("THAI",), "yi": ("HEBREW",), "zh": ("CJK",),
}  # fmt: skip
"""First words of the Unicode names of a language's letters; all other languages have Latin ones."""
_FUNCTION_WORDS = {
    "cs": "jak kde není jsou nebo", "da": "hvordan hvor ikke og", "de": "wie wo ich der das und nicht eine einen wird",
    "es": "cómo como dónde donde el los las una para por del", "fi": "miten missä ja ei", "fr": "le les des une où",
    "id": "bagaimana cara yang untuk dengan", "it": "dove il gli della una che sono", "nl": "hoe waar het een voor",
    "pl": "jak gdzie jest nie dla się", "pt": "como onde uma para não os dos", "ro": "cum unde este și pentru",
    "sv": "hur och inte är för", "tr": "nasıl nerede bir için ve", "vi": "thế nào của cho",
}  # fmt: skip


_ASKING = _listed("translation translations translated locale locales localized localization i18n l10n")


class Translation(NamedTuple):
    """A translated file, as its path tells it.

    Attributes:
        language: code of ISO 639-1.
        originals: paths of which one is the original's; empty where the folder says that it is a translation.
    """

    language: str
    originals: tuple[str, ...]


class Spoken(NamedTuple):
    """The languages that a query may be in.

    Attributes:
        asked: the query is about translations, and names no language.
        languages: that it names, or of which it has function words.
        scripts: of its letters beyond ASCII.
    """

    asked: bool
    languages: frozenset[str]
    scripts: frozenset[str]

    def fits(self, language: str) -> bool:
        """Return whether the query may be in the language."""
        return (
            self.asked or language in self.languages or not self.scripts.isdisjoint(_SCRIPTS.get(language, ("LATIN",)))
        )


def spoken(text: str) -> Spoken:
    """Return in which languages a query may be."""
    words = frozenset(re.findall(r"\w+", text.lower()))
    named = {_NAMES[word] for word in words if word in _NAMES}
    used = {language for language, own in _FUNCTION_WORDS.items() if not words.isdisjoint(own.split())}
    letters = [] if text.isascii() else [char for char in text if char > "\x7f" and char.isalpha()]
    scripts = frozenset(unicodedata.name(char, "").partition(" ")[0] for char in letters)
    return Spoken(not named and not words.isdisjoint(_ASKING), frozenset(named | used), scripts)


@lru_cache(maxsize=65_536)
def translation_of(path: str) -> Translation | None:
    """Return what a translated file's path says; None where it says nothing of the kind."""
    *folders, base = path.split("/")
    extension = base.lower().rpartition(".")[2]
    readable = extension in _DOCUMENTS | _TABLES
    for at, folder in enumerate(folders):
        found = _SUFFIXED.fullmatch(folder.lower())
        stem, code = (folder[: found.end("stem")], found["code"]) if found else ("", folder)
        language = _language(folder)
        if language:
            stem, code = "", folder
        language = language or _language(code)
        if language and not stem and at and folders[at - 1].lower() in _LOCALE_FOLDERS:
            return Translation(language, ())
        if folder.endswith(_APPLE_FOLDER) and (language := _language(folder[: -len(_APPLE_FOLDER)])):
            return Translation(language, ())
        if language and (readable or len(code) > 3):
            originals = _originals(path, folders, at, stem)
            # Every folder has a file of such a name, also one that is called `io`.
            entrance = code in _AMBIGUOUS and base.lower().startswith(("readme.", "index.", "_index."))
            return Translation(language, originals[1:] if entrance else originals)
    if not readable:
        return None
    if folders and folders[-1].lower() in _LOCALE_FOLDERS and (language := _language(base[: -len(extension) - 1])):
        return Translation(language, ())
    found = _NAME.fullmatch(base.lower())
    language = _language(found["code"]) if found else ""
    if found is None or not language:
        return None
    stem, mark, end = base[: found.end("stem")], found["mark"], base[found.start("end") :]
    plain_code = len(found["code"]) < 4
    unsure = plain_code and mark != "." and (extension in _TABLES - {"properties"} or found["code"] in _AMBIGUOUS)
    if unsure and not stem.isupper():
        return None
    if folders and folders[-1].lower() in _LOCALE_FOLDERS:
        return Translation(language, ())
    folder = path[: len(path) - len(base)]
    names = (f"{stem}{end}", *(f"{stem}{mark}{english}{end}" for english in _ENGLISH))
    return Translation(language, tuple(folder + name for name in names))


def _originals(path: str, folders: list[str], at: int, stem: str) -> tuple[str, ...]:
    """Return the paths without the folder of a language, and with English instead."""
    before, after = "".join(f"{folder}/" for folder in folders[:at]), path.split("/", at + 1)[-1]
    if not stem:
        return (before + after, *(f"{before}{english}/{after}" for english in _ENGLISH))
    mark = folders[at][len(stem)]
    return (f"{before}{stem}/{after}", *(f"{before}{stem}{mark}{english}/{after}" for english in _ENGLISH))


def _language(code: str) -> str:
    """Return the language of a code or a name, or an empty string, also for English."""
    lowered = code.lower()
    if lowered in _NAMES:
        return _NAMES[lowered]
    found = _CODE.fullmatch(lowered)
    return _ALIASES.get(found[1], found[1]) if found and found[1] in _CODES else ""
