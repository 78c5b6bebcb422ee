"""A role needs the right extension and place; each row is a catch that is right, or one that would be wrong."""

import pytest

from regend.search.query.words import file_group, file_role


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("source", "authors.py NoticeRepository.kt changelog.rb PodSpec.java"),
        ("source", "src/license.go readme.ts notice.js"),
        ("source", "LicenseKey.swift ChangelogParser.py history.js news.rb"),
        ("source", "container_spec.go FunSpec.kt TypeSpec.java latest.py"),
        ("source", "Latest.java Contest.java contest.py attest.go"),
        ("source", "src/testing/t.go copyright.php todo.tsx README.py maintainers.go"),
        ("source", "internal/spec/load.go src/main/java/a/spec/Api.java lib/gen/emit.go tools/gen/main.py"),
        ("source", "dist/manager.py pkg/dist/publish.go src/specs/loader.rs gen/Types.kt"),
        ("test", "spec/models/user.rb spec/support/env.yml specs/cart.ts spec/fixtures/a.go"),
        ("generated", "dist/app.js packages/x/dist/index.d.ts generated/a.go"),
        ("prose", "README README.md README.ko.md LICENSE LICENSE-MIT"),
        ("prose", "LICENSE.txt COPYING CHANGELOG.md CHANGES AUTHORS NOTICE"),
        ("prose", "docs/guide.rst notes.txt TODO"),
        ("prose", "history.md NEWS.adoc license.apache README-windows"),
        ("test", "test_x.py conftest.py x_test.go x.test.ts x.spec.tsx"),
        ("test", "x_spec.rb FooTest.java FooTests.cs FooSpec.scala FooSpec.hs"),
        ("test", "x.bats t/basic.t tests/x.py src/test/java/A.java"),
        ("test", "spec/x_spec.rb FooTestCase.php Foo.Tests.ps1 x_test.exs"),
        ("vendor", "gradlew gradlew.bat mvnw.cmd build-aux/ltmain.sh config.guess static/jquery-3.7.1.js"),
        ("source", "gradle.kt mvn.py install.sh jquery_plugin.ts missing.go"),
        ("data", "locale/de.po a.xlf Resources.resx App.xib Info.plist project.pbxproj App.sln"),
        ("data", "openapi-spec.json api.spec.yaml test.json config.toml"),
        ("data", "a.xml license.json changelog.yml authors.xml"),
        ("generated", "a_pb2.py a.pb.go x.min.js schema.generated.ts go.sum"),
        ("stub", "x.pyi x.d.ts"),
        ("test", "src/isDate/test.ts src/tests.rs app/tests.py test/http_SUITE.erl src/a_SUITE.erl types.test-d.ts"),
        ("test", "t/lib/App.pm xt/author.pm re2/testing/tester.cc fuzz/run.sh test-dts/store.ts test_data/a.bin"),
        ("source", "rest_framework/test.py lib/test.js src/main/Test.java sqlalchemy/testing/suite.py app/t.py"),
        ("source", "src/docs/render.py websites/a.ts fuzzy/match.go testify/suite.go pkg/test_utils/a.go"),
        ("example", "benches/parse.rs eg/app.psgi docs/theme/menu.ts doc/cookbook/Auth.lhs website/src/pages/a.tsx"),
        ("prose", "man/across.Rd vignettes/base.Rmd docs/guide.md doc/index.mld"),
        ("data", "build.sbt build.gradle.kts app.gemspec a.cabal CMakeLists.txt Package.swift src/dune Gemfile"),
    ],
)  # fmt: skip
def test_role(role: str, paths: str) -> None:
    assert {path: file_role(path) for path in paths.split()} == dict.fromkeys(paths.split(), role)


@pytest.mark.parametrize(
    ("path", "language", "group"),
    [
        ("src/a.py", "python", "code"), ("tests/a.py", "python", "code"), ("docs/a.md", "markdown", "docs"),
        ("LICENSE", "text", "docs"), ("notes.txt", "text", "docs"), ("a.yaml", "yaml", "config"),
        ("x.ini", "ini", "config"),
        ("docs/conf.py", "python", "code"), ("CMakeLists.txt", "cmake", "code"), ("Dockerfile", "dockerfile", "config"),
        ("page.html", "html", "code"), ("x.unknown", "text", "code"),
    ],
)  # fmt: skip
def test_group(path: str, language: str, group: str) -> None:
    assert file_group(path, language) == group


@pytest.mark.parametrize(
    ("path", "marks", "role"),
    [
        ("src/a.go", "vendored", "vendor"), ("src/a.go", "generated", "generated"),
        ("src/a.go", "documentation", "prose"),
        ("vendor/a.go", "-vendored", "source"), ("vendor/x/tests/a.go", "-vendored", "test"),
        ("vendor/a.go", "generated", "vendor"), ("tests/a.go", "generated", "test"),
        ("a.pb.go", "-generated", "source"),
        ("dist/lib/a.js", "-generated", "source"), ("generated/a_test.go", "-generated", "test"),
        ("README.md", "-documentation", "source"), ("examples/a.py", "-documentation", "source"),
        ("schema.json", "detectable", "source"), ("schema.json", "-detectable", "data"),
        ("src/a.go", "generated vendored", "vendor"), ("src/a.go", "parse_timeout", "source"),
        ("src/a.go", "parse_timeout vendored", "vendor"), ("vendor/a.go", "generated -vendored", "generated"),
    ],
)  # fmt: skip
def test_marks_decide_before_the_path(path: str, marks: str, role: str) -> None:
    assert file_role(path, marks) == role


@pytest.mark.parametrize(
    ("path", "language", "marks", "group"),
    [
        ("a.py", "python", "documentation", "docs"), ("a.md", "markdown", "-documentation", "code"),
        ("a.json", "json", "detectable", "code"), ("a.json", "json", "-detectable", "config"),
        ("a.md", "markdown", "generated", "docs"),
    ],
)  # fmt: skip
def test_marks_decide_the_group(path: str, language: str, marks: str, group: str) -> None:
    assert file_group(path, language, marks) == group
