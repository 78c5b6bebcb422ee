"""A path tells whether a document is a translation, and a query in which languages it may be."""

from __future__ import annotations

import pytest

from regend.search.query.translations import spoken, translation_of


@pytest.mark.parametrize(
    ("path", "language", "original"),
    [
        ("README.ko.md", "ko", "README.md"),
        ("README_zh-CN.md", "zh", "README.md"),
        ("README-pt_BR.md", "pt", "README.md"),
        ("README_CN.md", "zh", "README.md"),
        ("README_it.md", "it", "README.md"),
        ("docs/README.zh-Hans.md", "zh", "docs/README.md"),
        ("README.japanese.md", "ja", "README.md"),
        ("README.ja.md", "ja", "README.en.md"),
        ("docs/ja/guide.md", "ja", "docs/guide.md"),
        ("docs/ja/deep/guide.md", "ja", "docs/en/deep/guide.md"),
        ("content/zh-cn/a/b.html", "zh", "content/en/a/b.html"),
        ("docs-zh/guide.md", "zh", "docs/guide.md"),
        ("docs_pt-br/guide.md", "pt", "docs_en/guide.md"),
        ("fr/guide.rst", "fr", "guide.rst"),
        ("messages_de.properties", "de", "messages.properties"),
        ("web/messages.fr.yml", "fr", "web/messages.en.yml"),
    ],
)
def test_a_translation_names_its_original(path: str, language: str, original: str) -> None:
    found = translation_of(path)
    assert found is not None and found.language == language
    assert original in found.originals and path not in found.originals


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("i18n/fr/docusaurus-plugin-content-docs/current/guide.md", "fr"),
        ("locale/de/LC_MESSAGES/app.po", "de"),
        ("src/conf/locale/de/formats.py", "de"),
        ("app/locales/pt-BR.json", "pt"),
        ("l10n/uk/x.ftl", "uk"),
        ("src/locale/messages.de_DE.xlf", "de"),
        ("App/de.lproj/Localizable.strings", "de"),
        ("App/Main/zh-Hans.lproj/Main.strings", "zh"),
    ],
)
def test_some_folders_hold_translations_only(path: str, language: str) -> None:
    assert translation_of(path) == (language, ())


@pytest.mark.parametrize(
    "path",
    [
        "README.md", "README.en.md", "docs/en/guide.md", "locale/en/x.po", "locales/en.json",
        "locale/messages.en_GB.xlf", "App/en.lproj/a.strings", "App/Base.lproj/a.xib",
        "how-to.md", "user_id.md",
        "src/io/reader.py", "src/user_id.py", "data/user_id.json", "sign-in.md", "src/gl/texture.cpp", "config.ts.md",
        "src/locale/format.py", "i18n/index.ts", "a.b", "it", "",
    ],
)  # fmt: skip
def test_other_files_are_no_translations(path: str) -> None:
    assert translation_of(path) is None


@pytest.mark.parametrize("path", ["crates/io/README.md", "docs/is/index.md"])
def test_an_entrance_of_a_folder_is_one_only_beside_english(path: str) -> None:
    found = translation_of(path)
    folder, base = path.rsplit("/", 2)[0], path.rpartition("/")[2]
    assert found is not None and f"{folder}/{base}" not in found.originals
    assert f"{folder}/en/{base}" in found.originals


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("설치 방법", "ko"),
        ("インストール", "ja"),
        ("安装", "zh ja"),
        ("установка", "ru uk bg"),
        ("wie installiere ich das", "de"),
        ("größe", "de fr"),
        ("dónde están los archivos", "es"),
        ("korean readme", "ko"),
        ("εγκατάσταση", "el"),
    ],
)
def test_a_query_may_be_in_these_languages(text: str, languages: str) -> None:
    assert all(map(spoken(text).fits, languages.split()))


@pytest.mark.parametrize("text", ["how to install the server", "install", "was the die cast", "设置 server"])
def test_a_query_is_in_no_other(text: str) -> None:
    assert not any(map(spoken(text).fits, ("ko", "de", "fr", "es", "ru", "pt", "nl", "it")))


def test_who_names_a_language_asks_for_its_translations_only() -> None:
    assert spoken("translations of buttons").fits("sv") and spoken("translations of buttons").fits("de")
    assert spoken("swedish translations of buttons").fits("sv") and not spoken("swedish translations of buttons").fits(
        "de"
    )
