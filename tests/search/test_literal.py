"""The literal contract, over generated corpora: holders of a rare word stand first, and absent words are named."""

from __future__ import annotations

import random
from collections.abc import Callable
from unicodedata import normalize

import pytest

from regend.search.engine import Engine
from regend.search.legs.conditions import conditions_of
from regend.search.legs.literal import RARE_CHUNKS, literal_of
from regend.search.legs.scope import ScopeResolver
from regend.search.options import SearchOptions
from regend.search.query.filters import Filters
from regend.search.query.parse import parse_query
from tests.search.conftest import Corpus
from tests.search.memory import MemoryCorpus, hashed_vector

COMMON = [
    "queue", "worker", "retry", "server", "handle", "request", "config", "parse", "token", "stream", "buffer", "cache",
    "index", "commit", "batch",
]  # fmt: skip
ROLES = ("src/{}.py", "tests/test_{}.py", "docs/{}.md", "vendor/{}.py", "examples/{}.py", "data/{}.json", "{}.pyi")
WORDS = (
    "zyxwort", "frobnicate_all", "HTTPFrobber", "x9kq77", "Frobber", "__frobs__", "grüßgott", "frob$inner", "2fa",
    "6965db", "0x1f",
)  # fmt: skip


def filled(corpus: Corpus, seed: int) -> tuple[random.Random, dict[str, set[str]]]:
    """Fill a root with files of common words, some of which hold rare words; return the holders by word."""
    rng = random.Random(seed)
    holders: dict[str, set[str]] = {word: set() for word in WORDS}
    files = []
    for number in range(60):
        path = rng.choice(ROLES).format(f"{rng.choice(COMMON)}_{number}")
        words = rng.choices(COMMON, k=rng.randint(5, 60))
        if rng.random() < 0.3:
            word = rng.choice(WORDS)
            words.insert(rng.randrange(len(words)), word)
            holders[word].add(path)
        files.append((path, " ".join(words), "python"))
    corpus.fill(corpus.add_root("/repo"), files)
    holders["Frobber"] |= holders["HTTPFrobber"]  # A part of a name is a word of it.
    return rng, holders


def found(
    corpus: Corpus, text: str, k: int = 10, knows: Callable[[str], bool] = lambda _text: True
) -> tuple[list[str], tuple[str, ...]]:
    engine = Engine(hashed_vector, knows=knows)
    outcome = engine.search(corpus.snapshot, SearchOptions(parse_query(text), k=k))
    return [result.path for result in outcome.results], outcome.notes


@pytest.mark.parametrize("seed", range(4))
def test_holders_of_a_rare_word_stand_first(corpus: Corpus, seed: int) -> None:
    rng, holders = filled(corpus, seed)
    for word in [word for word in WORDS if holders[word]]:
        assert len(holders[word]) <= RARE_CHUNKS
        for text in (word, word.upper() if word.isascii() else word):
            paths, notes = found(corpus, text, k=len(holders[word]) + 3)
            assert set(paths[: len(holders[word])]) == holders[word], (seed, text, paths)
            assert not any("holds" in note for note in notes)
        if word in ("frobnicate_all", "HTTPFrobber", "x9kq77", "frob$inner"):
            text = f"how does {rng.choice(COMMON)} {word} the {rng.choice(COMMON)}"
            paths, _ = found(corpus, text, k=len(holders[word]) + 3)
            assert set(paths[: len(holders[word])]) == holders[word], (seed, text, paths)


LONG_NAMES = {
    "should_return_the_cached_value_when_the_policy_says_so_and_nothing_else_was_given": "cached policy",
    "testThatTheSerializerDoesNotAcceptAnythingButTheUsualTypesOfTheServer": "serializer usual types",
    "Kein_Schlüssel_darf_älter_sein_als_die_Prüfung_die_ihn_zuletzt_gesehen_hat": "älter Prüfung",
}


@pytest.mark.parametrize("name", LONG_NAMES)
def test_a_name_as_long_as_a_sentence_is_found(corpus: Corpus, name: str) -> None:
    files = [(f"src/{other}.py", f"def {other}():\n    return {n}", "python") for n, other in enumerate(LONG_NAMES)]
    corpus.fill(corpus.add_root("/repo"), [*files, ("src/other.py", "def other():\n    return nothing", "python")])
    for text in (name, name.upper(), LONG_NAMES[name], f"does {name} return"):
        paths, notes = found(corpus, text)
        assert paths[0] == f"src/{name}.py", (text, paths)
        assert not any("holds" in note for note in notes), notes


@pytest.mark.parametrize("length", range(20, 201, 20))
def test_a_title_finds_what_it_names_however_long_it_is(corpus: Corpus, length: int) -> None:
    """People paste the titles of tests that failed, and those of sections."""
    words = "signed in as an inactive user the route should not be able to change what the other session has stored"
    title = " ".join([words] * 3)[:length].strip()
    corpus.fill(corpus.add_root("/repo"), [
        ("src/session.py", f"def change(user):\n    # {words}\n    return user.route", "python"),
        ("docs/session.md", f"## {title}\n\nNothing else.", "markdown"),
    ])  # fmt: skip
    paths, _ = found(corpus, title)
    assert paths[0] == "docs/session.md", paths


@pytest.mark.parametrize("word", ["__queue__", "_queue", "queue_"])
def test_signs_at_the_ends_of_a_word_count(corpus: Corpus, word: str) -> None:
    corpus.fill(corpus.add_root("/repo"), [
        *((f"src/f{n}.py", "queue worker", "python") for n in range(40)),
        ("tests/one.py", f"worker {word}", "python"),
    ])  # fmt: skip
    assert found(corpus, word)[0][0] == "tests/one.py"
    assert found(corpus, f"_{word}_")[0], "a word with other signs is found without them"


@pytest.mark.parametrize("path", ["/api/users/", "/login", "/u/:name/edit", "api/users/export.csv", "/users/{id}"])
def test_what_holds_a_path_that_is_no_file_stands_first(corpus: Corpus, path: str) -> None:
    corpus.fill(corpus.add_root("/repo"), [
        *((f"src/users_{n}.py", "api users login name edit id export csv", "python") for n in range(30)),
        ("tests/routes.py", f'get("{path}")', "python"), ("src/login/index.py", "worker", "python"),
    ])  # fmt: skip
    assert found(corpus, path)[0][0] == "tests/routes.py"


def test_a_path_that_is_a_file_finds_the_file(corpus: Corpus) -> None:
    corpus.fill(corpus.add_root("/repo"), [
        ("src/users.py", "worker", "python"), ("docs/a.md", "see src/users.py and /src/users.py", "markdown"),
    ])  # fmt: skip
    for path in ("src/users.py", "/src/users.py", "/home/me/src/users.py"):
        assert found(corpus, path)[0][0] == "src/users.py", path


def test_a_chunk_that_holds_more_of_the_rare_words_stands_before_others(corpus: Corpus) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [
        ("tests/both.py", "left_frob and right_frob", "python"),
        ("src/left.py", "left_frob queue worker", "python"),
        ("src/none.py", "queue worker left right frob", "python"),
    ])  # fmt: skip
    paths, _ = found(corpus, "left_frob of the right_frob queue worker")
    assert paths[:2] == ["tests/both.py", "src/left.py"]


@pytest.mark.parametrize(
    "text", ["nosuchthing", "nosuchthing queue", "the queue of noSuchThing", "no_such_thing worker"]
)
def test_an_absent_word_is_named(corpus: Corpus, text: str) -> None:
    filled(corpus, 1)
    paths, notes = found(corpus, text)
    absent = next(word for word in text.split() if "such" in word.lower())
    assert any(repr(absent) in note and "No indexed file in scope holds" in note for note in notes), notes
    assert paths or text == absent, "what follows is the nearest"


PATHS = (
    "src/parsers/json_reader.py", "src/parsers/__init__.py", "docs/guide/install.md", "web/components/Button.tsx",
    "include/net/tcp.h", "größe/maß.py", "app/Http/Controllers/UserController.php", "a-b/c.d/e-f.go",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_path_that_no_file_has_is_named(corpus: Corpus, seed: int) -> None:
    """Each path with one part or the ending changed, or two parts exchanged, unless a file is called so after all."""
    rng = random.Random(seed)
    text = "queue worker # was once lib/legacy/parser.py"
    corpus.fill(
        corpus.add_root("/repo"), [(path, text if n % 3 else "queue", "python") for n, path in enumerate(PATHS)]
    )
    for path in PATHS:
        parts = path.split("/")
        at = rng.randrange(len(parts))
        changed = rng.choice([
            [*parts[:at], rng.choice(COMMON), *parts[at:]],
            [*parts[:-1], f"{rng.choice(COMMON)}.{parts[-1].rpartition('.')[2]}"],
            [*parts[:-1], parts[-1].rpartition(".")[0] + ".zig"],
            [*reversed(parts[:-1]), "missing_" + parts[-1]],
        ])  # fmt: skip
        absent = "/".join(changed)
        # With a line, it may come from elsewhere, so the same name in another folder is meant.
        for asked in (absent, f"./{absent}", *([f"{absent}:12"] if changed[-1] != parts[-1] else ())):
            paths, notes = found(corpus, asked)
            assert any("is called or holds" in note and absent in note for note in notes) and paths, (asked, notes)
        for there in (path, f"./{path}", "/".join(parts[1:]), f"/home/me/repo/{path}", "lib/legacy/parser.py"):
            _, notes = found(corpus, there)
            assert not any("holds" in note for note in notes), (there, notes)


def test_a_query_of_which_nobody_knows_a_word_finds_nothing(corpus: Corpus) -> None:
    filled(corpus, 1)
    engine = Engine(hashed_vector, knows=lambda text: "queue" in text)
    outcome = engine.search(corpus.snapshot, SearchOptions(parse_query("qqqzzzy wwwvvvx")))
    assert outcome.results == () and "'qqqzzzy', 'wwwvvvx'" in outcome.notes[0]
    assert engine.search(corpus.snapshot, SearchOptions(parse_query("qqqzzzy queue"))).results


@pytest.mark.parametrize("text", ["rareword_here kind:class", "rareword_here -queue", "rareword_here lang:go worker"])
def test_a_filter_that_leaves_the_holders_out_makes_no_word_absent(corpus: Corpus, text: str) -> None:
    corpus.fill(corpus.add_root("/one"), [("a.py", "rareword_here queue", "python"), ("b.go", "worker", "go")])
    query = parse_query(text)
    conditions = conditions_of(query, SearchOptions(query).filters, ())
    literal = literal_of(corpus.snapshot, ScopeResolver().resolve(corpus.snapshot, Filters()), query, conditions)
    assert literal.absent == ()


def test_a_word_that_only_other_roots_hold_is_named(corpus: Corpus) -> None:
    first, second = corpus.add_root("/one", pool=1), corpus.add_root("/two", pool=2)
    corpus.fill(first, [(f"a{n}.py", "common worker", "python") for n in range(RARE_CHUNKS + 20)])
    corpus.fill(second, [("b.py", "queue worker", "python")])
    query, filters = parse_query("common worker"), Filters(root="/two")
    scope = ScopeResolver().resolve(corpus.snapshot, filters)
    assert literal_of(corpus.snapshot, scope, query, conditions_of(query, filters, ())).absent == ("common",)


def test_a_word_that_no_file_holds_any_longer_is_named(corpus: Corpus) -> None:
    root = corpus.add_root("/repo")
    words = ("old_frobnicator", "quibbles", "x9kq77", "Frobber")
    for number, word in enumerate(words):
        corpus.put(root, f"src/a{number}.py", f"def load_{number}():\n    return {word}")
        assert found(corpus, word)[0][0] == f"src/a{number}.py"
    for number, word in enumerate(words):
        corpus.put(root, f"src/a{number}.py", f"def load_{number}():\n    return queue")
        for text in (word, f"load {word}", word[:-2] + word[-1] + word[-2]):
            typed = text.removeprefix("load ")
            _, notes = found(corpus, text)
            assert [note for note in notes if repr(typed) in note and "No indexed file in scope holds" in note], (
                text,
                notes,
            )
            assert not any("searched for" in note for note in notes), (text, notes)
        assert not found(corpus, f"load_{number} return queue")[1]


def test_words_outside_the_scope_do_not_count(corpus: Corpus) -> None:
    first, second = corpus.add_root("/one", pool=1), corpus.add_root("/two", pool=2)
    corpus.fill(first, [("a.py", "rareword_here queue", "python")])
    corpus.fill(second, [("b.py", "queue worker", "python")])
    query, filters = parse_query("rareword_here"), Filters(root="/two")
    scope = ScopeResolver().resolve(corpus.snapshot, filters)
    literal = literal_of(corpus.snapshot, scope, query, conditions_of(query, filters, ()))
    assert literal.absent == ("rareword_here",) and literal.holders == ()


SCRIPTS = {
    "Chinese": "用户信息数据库缓存密码登录配置",
    "Japanese": "認証トークンログイン設定を読み込む",
    "Korean": "사용자정보데이터베이스비밀번호",
    "Thai": "กขคงจชซญดตถทนบปผ",
    "Khmer": "កខគឃងចឆជឈញតថទធន",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_without_spaces_are_found_and_named(corpus: Corpus, script: str) -> None:
    """Half of the letters stand in the files, so that pairs of the others stand nowhere."""
    rng = random.Random(script)
    letters = SCRIPTS[script]
    held = rng.sample(letters, len(letters) // 2)
    runs = ["".join(rng.choices(held, k=rng.randint(4, 90))) for _ in range(8)]
    files = [(f"src/a{n}.py", f"# {run}。\ndef handle(queue): pass", "python") for n, run in enumerate(runs)]
    corpus.fill(corpus.add_root("/repo"), files + [(f"src/f{n}.py", "queue worker", "python") for n in range(20)])
    for _ in range(12):
        run = rng.choice(runs)
        start = rng.randrange(len(run) - 1)
        part = run[start : start + rng.randint(1, 6)]
        holders = {path for path, text, _ in files if part in text}
        for text in (part, f"queue {part}", f'"{part}"', f"-worker {part}"):
            paths, notes = found(corpus, text, k=len(holders) + 2)
            assert not any("holds" in note for note in notes), (script, text, notes)
            if text != part and (len(part) == 1 or not text.startswith('"')):
                continue
            assert set(paths[: len(holders)]) == holders, (script, text, paths)
        absent = "".join(rng.sample([letter for letter in letters if letter not in held], 3))
        _, notes = found(corpus, f"{part} {absent}")
        assert any(repr(absent) in note for note in notes), (script, absent, notes)
        _, notes = found(corpus, f"{part[:4]}{absent}")
        assert len(part) < 2 or any(repr(absent) in note for note in notes), (script, part, absent, notes)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_words_are_found_however_their_letters_are_encoded(corpus: Corpus, form: str, asked: str) -> None:
    words = ["résumé", "größenordnung", "ёлка", "ログイン", "사용자", "tiếng"]
    text = normalize(form, " ".join(words))
    corpus.fill(corpus.add_root("/repo"), [
        (f"docs/{text.split()[0]}.md", text, "markdown"), ("src/b.py", "queue worker", "python"),
    ])  # fmt: skip
    for word in [*words, f'"{words[0]} {words[1]}"', f"path:docs/*é* {words[0]}", f"docs/{words[0]}.md"]:
        paths, notes = found(corpus, normalize(asked, word))
        assert normalize("NFC", paths[0]) == "docs/résumé.md" and not notes, (word, paths, notes)


@pytest.mark.parametrize(("typed", "held"), [("resume", "résumé"), ("grosse", "Größe"), ("елка", "Ёлка")])
def test_accents_need_not_be_typed_and_exact_spelling_wins(corpus: Corpus, typed: str, held: str) -> None:
    corpus.fill(corpus.add_root("/repo"), [
        ("src/a.py", f"worker {typed} queue", "python"), ("src/b.py", f"worker {held} queue", "python"),
    ])  # fmt: skip
    assert found(corpus, typed)[0][:2] == ["src/a.py", "src/b.py"] and not found(corpus, typed)[1]
    assert found(corpus, held)[0][0] == "src/b.py" and not found(corpus, held)[1]


def test_a_run_without_spaces_is_excluded_as_a_whole(corpus: Corpus) -> None:
    corpus.fill(corpus.add_root("/repo"), [
        ("src/a.py", "queue 用户信息", "python"), ("src/b.py", "queue 用户", "python"),
    ])  # fmt: skip
    assert found(corpus, "queue -用户信息")[0] == ["src/b.py"]
    assert found(corpus, "queue -用户")[0] == []


MESSAGE = "could not connect to server: Connection refused by peer"


NAMES = (
    "QuerySetPaginator",
    "max_retry_count",
    "Vorratsdatenspeicherung",
    "väärtustega",
    "http2SettingsFrame",
    "клавиатура",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_a_word_finds_the_word_wherever_it_is_cut(corpus: Corpus, name: str) -> None:
    files = [(f"src/f{n}.py", "alpha beta gamma", "python") for n in range(12)]
    corpus.fill(corpus.add_root("/repo"), [*files, ("tests/one.py", f"alpha {name} beta", "python")])
    for start in [at for at, letter in enumerate(name) if not letter.isdigit()]:
        for end in range(start + 5, len(name) + 1, 3 if start else 1):
            part = name[start:end]
            paths, notes = found(corpus, part)
            assert paths[0] == "tests/one.py", (part, paths, notes)
            assert found(corpus, f'"{part}"')[0] == ["tests/one.py"], part


def test_of_longer_words_one_in_its_case_then_the_most_frequent_is_asked_for(project: Corpus) -> None:
    project.fill(next(iter(project.snapshot.roots)), [
        ("src/pages.py", "class Paginator:\n    def pages(self):\n        return self.pagination", "python"),
        *((f"src/p{n}.py", f"pagination frobnicate worker{n}", "python") for n in range(4)),
        ("src/q.py", "frobnify Frobn", "python"),
    ])  # fmt: skip
    for typed, meant in (("Pagin", "Paginator"), ("pagin", "pagination"), ("paginati", "pagination"),
                         ("frobni", "frobnicate"), ("frobnicat worker_of_job", "frobnicate")):  # fmt: skip
        notes = found(project, typed, knows=lambda text: "frob" not in text)[1]
        assert any(repr(meant) in note for note in notes), (typed, notes)


@pytest.mark.parametrize("start", range(0, 30, 3))
@pytest.mark.parametrize("cut", range(0, 24, 6))
def test_a_part_of_a_text_is_found_wherever_it_is_cut(memory: Corpus, start: int, cut: int) -> None:
    part = MESSAGE[start : len(MESSAGE) - cut].strip()
    paths, notes = found(memory, f'"{part}"')
    if len(part.split()) > 2 or all(len(word.strip(":")) > 2 for word in part.split()):
        # The index knows the words between, or can look for the pieces that two words must hold.
        assert paths == ["errors.py"] and not notes, (part, paths, notes)
    else:
        assert paths == ["errors.py"] or "as whole words" in notes[0], (part, paths, notes)


def test_a_part_of_a_text_is_found_though_only_common_words_stand_between(corpus: Corpus) -> None:
    texts = (
        "state of the currency",
        "Größe des Fußgängers",
        "подключения к базе данных",
        "frob$inner is as frob$outer",
    )
    files = [(f"docs/{number}.md", f"see {text} here", "markdown") for number, text in enumerate(texts)]
    corpus.fill(corpus.add_root("/repo"), [*files, ("a.py", "state of the queue", "python")])
    for number, text in enumerate(texts):
        for start, end in ((0, -3), (2, 0), (2, -3), (1, -1)):
            part = text[start : len(text) + end]
            for typed in (part, part.upper()):
                assert found(corpus, f'"{typed}"') == ([f"docs/{number}.md"], ()), typed


@pytest.fixture(scope="module")
def memory() -> Corpus:
    corpus = MemoryCorpus()
    filler = [(f"src/f{n}.py", "connect server connection refused peer could not", "python") for n in range(40)]
    corpus.fill(corpus.add_root("/repo"), [("errors.py", f'raise Error("{MESSAGE}")', "python"), *filler])
    return corpus


@pytest.mark.parametrize("seed", range(2))
def test_the_first_results_do_not_depend_on_how_many_are_asked_for(corpus: Corpus, seed: int) -> None:
    rng, _ = filled(corpus, seed)
    for _ in range(10):
        text = " ".join(rng.sample(COMMON, 3))
        ten = found(corpus, text, k=10)[0]
        for k in (3, 11, 20, 60, 200):
            assert found(corpus, text, k=k)[0][:10] == ten[: min(k, 10)], (seed, text, k)
