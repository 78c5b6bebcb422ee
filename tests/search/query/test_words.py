"""Words are compared by coarse stems, and a path tells a file's role."""

import pytest

from regend.search.query.words import file_role, identifier_stems, path_words, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("completion", "completions"),
        ("complete", "completion"),
        ("route", "routing"),
        ("route", "router"),
        ("parse", "parser"),
        ("query", "queries"),
        ("serialize", "serializer"),
        ("map", "mapping"),
        ("handle", "handler"),
        ("validate", "validation"),
        ("argument", "args"),
        ("configuration", "cfg"),
        ("database", "db"),
    ],
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(
    ("one", "other"), [("string", "strip"), ("user", "use"), ("port", "report"), ("class", "clas")]
)
def test_different_words_do_not(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    "forms",
    [
        "größe größen Größe",
        "prüfen prüfung Prüfungen",
        "übersetzen übersetzung übersetzungen",
        "résumé résumés",
        "entrée entrées",
        "donnée données",
        "configuração configurações",
        "validación validaciones",
        "código códigos",
        "пользователь пользователя пользователей пользователи пользователем",
        "файл файлы файлов файлами файле",
        "изменение изменения изменить",
        "новый новая новые нового",
        "ёлка елка",
        "користувач користувачів користувачі",
        "αρχείο αρχεία αρχείων",
    ],
)
def test_forms_of_a_word_of_another_language_share_a_stem(forms: str) -> None:
    assert len({stem(form.lower()) for form in forms.split()}) == 1


@pytest.mark.parametrize(("one", "other"), [("größe", "grüße"), ("файл", "файлик"), ("ключ", "класс")])
def test_different_words_of_another_language_do_not(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_stems_are_stable() -> None:
    assert stem("日本語") == "日本語"
    assert stem("a") == "a"


def test_identifiers_are_split_before_stemming() -> None:
    assert {"http", stem("server"), stem("requests")} <= identifier_stems("HTTPServer.handle_requests")


def test_an_index_file_is_named_by_its_folder() -> None:
    assert path_words("src/router/index.ts").name == identifier_stems("router")
    assert path_words(".eslintrc.json").name == identifier_stems("eslint")
    assert path_words(".vimrc").name == identifier_stems("vim")
    assert path_words("web/Dockerfile.dev").name == identifier_stems("docker")
    assert path_words("lib/profile.py").name == identifier_stems("profile")
    assert path_words("router.test.ts").name == identifier_stems("router")


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("src/app.py", "source"),
        ("tests/test_app.py", "test"),
        ("pkg/server_test.go", "test"),
        ("src/UserServiceTest.java", "test"),
        ("web/app.spec.ts", "test"),
        ("src/latest.py", "source"),
        ("src/contest.py", "source"),
        ("src/Testing/TestResponse.php", "source"),
        ("vendor/x/tests/a.go", "vendor"),
        ("api/user.pb.go", "generated"),
        ("web/app.min.js", "generated"),
        ("Cargo.lock", "generated"),
        ("examples/hello.rs", "example"),
        ("src/app.pyi", "stub"),
        ("src/types.d.ts", "stub"),
        ("README.md", "prose"),
        ("LICENSE", "prose"),
        ("config/app.yaml", "data"),
        ("db/migrate/20140101202252_add_karma.rb", "migration"),
        ("db/old_migrations/20140101202252_add_karma.rb", "migration"),
        ("app/migrations/0004_user.py", "migration"),
        ("migrations/versions/3f2b1a9c0d1e_add_user.py", "migration"),
        ("src/main/resources/db/migration/V1.2__user.sql", "migration"),
        ("prisma/migrations/20220101_init/migration.sql", "migration"),
        ("app/migrations/__init__.py", "source"),
        ("django/db/migrations/loader.py", "source"),
        ("tests/migrations/0001_initial.py", "test"),
        ("lib/migrate/3d.ts", "source"),
    ],
)
def test_role(path: str, role: str) -> None:
    assert file_role(path) == role
