"""A column of a CSV file is read exactly, or refused with words; and it makes a target whose answers are exact for it."""

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minigen.data import Empirical, empirical_density, load_geyser, read_column, table, target
from minigen.metrics import wasserstein1_to_quantile

finite = st.floats(allow_nan=False, allow_infinity=False)
samples = st.lists(finite, min_size=2, max_size=20).filter(lambda v: len(set(v)) > 1)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(str.strip)


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


names = words.filter(lambda name: name and not is_number(name) and "\x85" not in name)


def write(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@given(
    values=samples,
    columns=st.lists(names, min_size=1, max_size=4, unique=True),
    position=st.integers(0, 3),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    blank=st.integers(0, 3),
)
def test_what_the_csv_module_writes_is_read_back_bit_by_bit(
    tmp_path, values, columns, position, delimiter, end, quoting, encoding, blank
):
    position %= len(columns)
    text = io.StringIO(newline="")
    # Several columns, so that the header tells the delimiter whatever the names hold.
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end + end * blank, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end + end * blank, quoting=quoting)
    for value in values:
        row = ["a word"] * len(columns)
        row[position] = repr(value)
        writer.writerow(row)
    path = write(tmp_path, text.getvalue().encode(encoding))
    for column in {columns[position], None if len(columns) == 1 else columns[position]}:
        read = read_column(path, column)
        assert read.dtype == np.float64
        assert read.tobytes() == np.array(values).tobytes()


def assert_read_or_refused_cleanly(path, column):
    try:
        values = read_column(path, column)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        assert np.isfinite(values).all()
        assert len(set(values)) > 1
    assert message == "" or message.startswith(f"read_column: {path}")


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_cleanly(tmp_path, content):
    assert_read_or_refused_cleanly(write(tmp_path, content), None)


@given(
    content=st.text(st.sampled_from("\n\r,;\t\"'01 .-+einfa\ufeff"), max_size=60),
    column=st.sampled_from([None, "a", "i"]),
)
def test_any_text_that_looks_like_a_table_is_read_or_refused_cleanly(tmp_path, content, column):
    assert_read_or_refused_cleanly(write(tmp_path, content), column)


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("", None, "table.csv is empty, expected a header line"),
        ("\n  \n\n", None, "table.csv is empty"),
        ("height\n", None, "column 'height' has no numbers; expected at least two different ones"),
        ("height\n1.5\n", None, "has 1 numbers, all 1.5; expected"),
        ("height\n2\n2.0\n\n", None, "has 2 numbers, all 2; expected"),
        ("1.5\n2.5\n", None, "begins with 1.5, expected a header line"),
        ("1.5,7\n2.5,8\n", "height", "begins with 1.5, expected a header line"),
        ("a,b\n1,2\n", None, "has 2 columns, choose one of them: 'a', 'b'"),
        ("height,weight\n1,2\n", "hight", "no column 'hight', did you mean 'height'. Its columns are 'height', 'weight'"),
        ("a,b,a\n1,2,3\n", "a", "has 2 columns 'a', expected different names"),
        ("a;b\n1;2\n\n3;x\n", "b", "line 4: column 'b' holds 'x', expected a number$"),
        ("a;b\n1;2\n3;1,75\n", "b", "line 3: column 'b' holds '1,75', expected a number, with a decimal point"),
        ('a\n"-,5e3"\n', None, "line 2: column 'a' holds '-,5e3', expected a number, with a decimal point"),
        ("a\n1,75\n", None, "line 2 has 2 cells, but the header names 1; if there is a decimal comma, write a point"),
        ("a,b\n1,2\n,3\n4,5\n,6\n", "a", "column 'a' has 2 empty cells, the first in line 3"),
        ("a,b\n1,2\n3\n", "b", "column 'b' has 1 empty cells, the first in line 3"),
        ("a\n1\nnan\n", None, "line 3: column 'a' holds 'nan', expected a finite number"),
        ("a\n1\n12_34\n", None, "line 3: column 'a' holds '12_34', expected a number, in the digits 0 to 9 only"),
        ("a\n1\n\uff11\uff12\n", None, "line 3: column 'a' holds '\uff11\uff12', expected a number, in the digits 0 to 9 only"),
        ("a\n1\n\u0663\n", None, "line 3: column 'a' holds '\u0663', expected a number, in the digits 0 to 9 only"),
        ("a\n1\n0x10\n", None, "line 3: column 'a' holds '0x10', expected a number$"),
        ("sep=|\na|b\n1|2\n", "a", r"table.csv, line 1 names the delimiter '\|', expected a comma, a semicolon or a tab"),
        ("sep=;\n", "a", "table.csv is empty"),
        ("\nsep=;\na;b\n1;2\n3;x\n", "b", "line 5: column 'b' holds 'x', expected a number$"),
        ('sep=;\na;b\n"1"2;2\n', "b", "line 3 is not a line of a CSV file"),
        ("a\n1\n-inf\n", None, "line 3: column 'a' holds '-inf', expected a finite number"),
        ("a\n1\n1e999\n", None, "holds '1e999', expected a finite number"),
        ("a\n" + 100 * "x", None, f"holds '{40 * 'x'}', expected a number"),
        (b"a\n1\n\xfc\n2", None, "line 3 is not text in UTF-8; save the table as CSV in UTF-8"),
        ("a\n1\n2\n".encode("utf-16"), None, "line 1 is not text in UTF-8"),
        ("a\n1\n2\0\n", None, "line 3 is not text in UTF-8"),
        ('a\n1\n"2\n3\n', None, "line 4 is not a line of a CSV file: unexpected end of data"),
        ('a\n"1"2\n', None, "line 2 is not a line of a CSV file"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_column_of_numbers_is_refused_with_words(tmp_path, content, column, message):
    with pytest.raises(ValueError, match=message):
        read_column(write(tmp_path, content), column)


def test_a_path_that_is_no_file_is_refused_with_words(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_column: there is no file .*nothing\.csv"):
        read_column(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="is a folder, expected a CSV file"):
        read_column(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "\n\n x \n1\n\n2.5\n   \n3e2",  # blank lines, blanks around cells, no last newline
        "x;\n1;\n2.5;\n300;\n",  # a delimiter after the last column
        "x;;\n1;;\n;;\n2.5;;\n300;;\n",  # a row of empty cells
        '"name, or none"\tx\n"a\nb"\t1\n,,,,\t2.5\n;\t300\n',  # other delimiters and newlines inside cells
        "2019,x\n7,1\n7,2.5\n7,300\n",  # numbers as names
    ],
)
def test_dialects(tmp_path, content):
    several = "name" in content or "2019" in content
    np.testing.assert_array_equal(read_column(write(tmp_path, content), "x" if several else None), [1.0, 2.5, 300.0])


def test_numbers_may_be_names_of_columns_that_are_asked_for(tmp_path):
    np.testing.assert_array_equal(read_column(write(tmp_path, "2019,2020\n1,2\n3,4\n"), "2020"), [2.0, 4.0])


def test_the_density_of_the_eruptions_is_the_target_faithful():
    density, faithful = empirical_density(load_geyser().duration, name="faithful"), target("faithful")
    assert isinstance(density, Empirical)
    assert density.name == faithful.name
    assert density.bandwidth == pytest.approx(faithful.bandwidth, abs=0.005)
    assert density.centres == pytest.approx(faithful.centres, abs=0.05)
    assert [mass for _, mass in density.modes] == pytest.approx([mass for _, mass in faithful.modes])


@given(seed=st.integers(0, 1000), n=st.integers(2, 300))
def test_the_wasserstein_distance_to_the_values_is_exact(seed, n):
    rng = np.random.default_rng(seed)
    values, generated = rng.normal(size=n), rng.normal(1.0, 2.0, size=n)
    density = empirical_density(values)
    assert wasserstein1_to_quantile(generated, density.quantile) == pytest.approx(
        stats.wasserstein_distance(generated, values), rel=1e-9
    )
    assert wasserstein1_to_quantile(values, density.quantile) == pytest.approx(0.0, abs=1e-12)


def test_a_hundred_thousand_values_are_a_target_of_the_right_density():
    rng = np.random.default_rng(0)
    density = empirical_density(rng.normal(rng.choice([-2.0, 2.0], 100_000), 0.5))
    assert density.centres == (pytest.approx(-2.0, abs=0.1), pytest.approx(2.0, abs=0.1))
    x = np.linspace(*density.support, 201)
    exact = target("mixture").pdf(x)
    # Four standard deviations of the estimate, and the bias h^2 p'' / 2 with p'' at most 0.4 / 0.5^3 / 2.
    noise = np.sqrt(exact / (2 * math.sqrt(math.pi) * 100_000 * density.bandwidth))
    assert (np.abs(density.pdf(x) - exact) <= 4 * noise + 0.8 * density.bandwidth**2 + 1e-4).all()


def test_the_estimate_of_many_values_needs_little_memory():
    import tracemalloc

    density = empirical_density(np.random.default_rng(0).normal(size=100_000))
    x = np.linspace(*density.support, 50)
    tracemalloc.start()
    density.pdf(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6  # all distances at once would be 40 MB


@pytest.mark.parametrize(
    "values", [[1e9, 1e9 + 1e3, 1e9 + 2e3], [1e300, -1e300], [1e-320, 2e-320], [1.7e308, -1.7e308, 0.0]]
)
def test_values_that_float32_cannot_tell_apart_are_refused(values):
    with pytest.raises(ValueError, match="empirical_density: float32 numbers, which samples are, cannot tell"):
        empirical_density(values)
    with pytest.raises(ValueError, match="empirical_density: all 2 values equal 7"):
        empirical_density([7.0, 7.0])


@pytest.mark.parametrize("delimiter", ",;\t")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_for_excel_names_the_delimiter(tmp_path, delimiter, end):
    # By its count in the header alone, another one would be taken.
    text = f"sep={delimiter}\nthis{delimiter}that, of; all\n1{delimiter}2\n3{delimiter}4\n".replace("\n", end)
    if delimiter == ";":
        text = text.replace("that, of; all", "that, of, all")
    elif delimiter == ",":
        text = text.replace("that, of; all", "that; of; all")
    np.testing.assert_array_equal(read_column(write(tmp_path, text), "this"), [1.0, 3.0])


def test_python_reads_nothing_that_the_column_does_not_say():
    """A cell is a number if it is written as one on paper: of all the characters that Python takes for digits, only ten are."""
    digits = [letter for letter in map(chr, range(0x110000)) if letter.isdecimal()]
    assert len(digits) > 600
    assert [digit for digit in digits if table._is_number(digit)] == list("0123456789")


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (",".join(f"column {i}" for i in range(100_000)), "colum"),
        (",".join(["a" * 100_000, "b" * 100_000]), "c" * 100_000),
        (",".join(["a" * 100_000] * 2), "a" * 100_000),
        ("a" * 100_000, None),
        ("1" * 100_000, None),
    ],
    ids=["many", "long", "twice", "without numbers", "number"],
)
def test_messages_stay_short_whatever_the_file_holds(tmp_path, header, column):
    path = write(tmp_path, f"{header}\n")
    with pytest.raises(ValueError, match="read_column") as error:
        read_column(path, column)
    assert len(str(error.value)) < 1500 + len(str(path))
