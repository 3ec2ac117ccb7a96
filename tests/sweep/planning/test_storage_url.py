"""What a sweep file may say of its studies' place, and that no password gets out."""

import pytest

from seqtune.config.yaml_file import FileError, parse_yaml
from seqtune.sweep.execution.driver import read_plan
from seqtune.sweep.planning.storage_url import (
    FromEnvironment,
    mask_passwords,
    parse_storage,
    public_text,
    resolve_storage,
)
from tests.sweep.sweeps import SMALL, plan_of


def kept_in(storage: str) -> str:
    """The small sweep with this `search.storage`."""
    return SMALL.replace("{trials: 4,", f"{{trials: 4, storage: {storage},")


@pytest.mark.parametrize(
    ("text", "kind", "public", "shown"),
    [
        ("journal", "journal", "journal", "journal"),
        ("sqlite", "sqlite", "sqlite", "sqlite"),
        (
            "postgresql://ada:s3cret@db.org:5433/studies",
            "postgresql",
            "postgresql://db.org:5433/studies",
            "postgresql://ada:***@db.org:5433/studies",
        ),
        (
            "postgresql+psycopg://ada@[::1]/studies",
            "postgresql",
            "postgresql://[::1]/studies",
            "postgresql://ada@[::1]/studies",
        ),
        (
            "postgresql:///studies?host=/var/run/db&sslmode=require&options=-ctoken%3Ds3cret",
            "postgresql",
            "postgresql:///studies?host=%2Fvar%2Frun%2Fdb",
            "postgresql:///studies?host=%2Fvar%2Frun%2Fdb",
        ),
    ],
)
def test_every_place_is_known_and_shown_without_its_password(
    text: str, kind: str, public: str, shown: str
):
    place = parse_storage(text)
    assert (place.kind, place.public, place.shown) == (kind, public, shown)
    assert "s3cret" not in repr(place)


@pytest.mark.parametrize(
    "password", ["s3cret", "a:b/c?d#e", "p%40q%25", "{curly}", "ge{h}eim", "pass+word"]
)
def test_a_password_is_understood_as_sqlalchemy_does(password: str):
    from sqlalchemy.engine import make_url

    url = f"postgresql://ada:{password}@db.org/studies"
    given, understood = make_url(url), make_url(parse_storage(url).url)
    assert understood.password == given.password
    assert understood.drivername == "postgresql+psycopg"
    assert (understood.host, understood.database) == (given.host, given.database)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqllite", "no such storage: sqllite; did you mean sqlite?"),
        ("sqlite:///x.db", "no such storage: sqlite://; did you mean sqlite?"),
        ("postgres://ada:s3cret@db/studies", "no such storage: postgres://; did you mean postgresql?"),
        ("mysql://ada:s3cret@db/studies", "no such storage: mysql://; it is one of journal, sqlite,"),
        ("postgresql:ada:s3cret@db/studies", "must be journal, sqlite or postgresql://..."),
        ("postgresql://ada:s3@cret@db/studies", "a URL has one @; write %40 for any other; write"),
        ("postgresql://ada:s3 cret@db/studies", "a URL must not contain spaces; write %20"),
        ("postgresql://ada:s3cret/studies", "is not the URL of a database; write postgresql://USER@"),
        ("postgresql://ada:s3cret@db:x/studies", "is not the URL of a database; write postgresql://USER@"),
        ("postgresql://ada:s3cret@db", "names no database; write postgresql://USER@HOST:PORT/DATABASE"),
        ("postgresql://db/studies?password=s3cret", "password must not be in the URL's query; write"),
    ],
)  # fmt: skip
def test_what_is_no_place_is_told_where_it_stands_and_not_repeated(text: str, message: str):
    with pytest.raises(FileError) as caught:
        plan_of(kept_in(f"'{text}'"))
    line = 1 + SMALL[: SMALL.index("search:")].count("\n")
    assert str(caught.value).startswith(f"s.yaml:{line}: search.storage: {message}")
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    ["7", "[postgresql://ada:s3cret@db/x]", "{env: s3cret!}", "{env: 1}", "{url: s3cret}", "{}"],
)
def test_what_is_no_text_is_refused_and_not_repeated(written: str):
    with pytest.raises(FileError) as caught:
        plan_of(kept_in(written))
    assert "search.storage: must be journal, sqlite, a URL or {env: NAME}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("written", ["null", "journal"])
def test_the_journal_is_the_default(written: str):
    assert plan_of(kept_in(written)).sweep == plan_of(SMALL).sweep
    assert plan_of(SMALL).sweep.storage == "journal"


def test_a_url_in_the_environment_is_read_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("STUDIES", raising=False)
    storage = plan_of(kept_in("{env: STUDIES}")).sweep.storage
    assert storage == FromEnvironment(env="STUDIES")
    with pytest.raises(
        FileError, match="the environment variable STUDIES is not set; it must hold"
    ):
        resolve_storage(storage)
    monkeypatch.setenv("STUDIES", "postgresql://ada:s3cret@db")
    with pytest.raises(FileError, match="variable STUDIES: names no database; write") as caught:
        resolve_storage(storage)
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("STUDIES", "postgresql://ada:s3cret@db/studies\n")
    assert resolve_storage(storage).public == "postgresql://db/studies"


def test_a_plan_does_not_show_its_password():
    plan = plan_of(kept_in("postgresql://ada:s3cret@db/studies"))
    assert "s3cret" not in repr(plan)
    assert "s3cret" not in str(plan.to_data())


def test_a_password_is_taken_out_of_the_text_wherever_it_stands():
    text = kept_in("'postgresql://ada:s3cret@db/studies'") + (
        "# storage: postgresql+psycopg://bob:s3cret,too@db/studies, or postgresql://eve@db/studies\n"
        "# http://db:80/x, or mail ada@db\n"
    )
    public = public_text(parse_yaml(text, name="s.yaml"))
    assert "s3cret" not in public
    assert public == text.replace("s3cret,too", "***").replace("s3cret", "***")
    assert mask_passwords(public) == public


def test_a_password_that_cannot_be_taken_out_is_refused():
    hidden = r'"postgresql:\/\/ada:s3cret@db\/studies"'
    with pytest.raises(
        FileError, match=r"s.yaml:14: search.storage: cannot mask its password"
    ) as caught:
        public_text(parse_yaml(kept_in(hidden), name="s.yaml"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("path", ["search.storage", "search"])
def test_a_password_on_the_command_line_is_refused(path: str):
    url = "postgresql://ada:s3cret@db/studies"
    value = url if path == "search.storage" else {"trials": 4, "storage": url}
    with pytest.raises(FileError, match=r"^--set search.storage: a password on the command line"):
        read_plan(parse_yaml(SMALL, name="s.yaml").override({path: value}))
    assert read_plan(parse_yaml(SMALL, name="s.yaml").override({"search.storage": "sqlite"}))
