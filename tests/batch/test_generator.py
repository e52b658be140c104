import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from batch.catalogue import build_catalogue
from batch.generator import MARKER, generate
from batch.loader import load_directory
from insight.database import DatabaseEndpoint
from insight.errors import InputError

# The bytes of the default data: the committed customer segments follow from them. A change here
# needs a new GENERATOR_VERSION.
DEFAULT_SALES_SHA256 = "2112cb5e50a0e883be0bad7385bf2b1d953338efa5117b1ac7799d369d60d9d2"


def digests(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
    }


@pytest.fixture(scope="module")
def default_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("generator") / "default"
    generate(directory)
    return directory


@pytest.fixture(scope="module")
def sales(default_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(default_data / "Online_Sales.csv", dtype={"Transaction_Date": str})
    frame["net"] = frame["Quantity"] * frame["Avg_Price"]
    frame["day"] = pd.to_datetime(frame["Transaction_Date"], format="%Y%m%d")
    return frame


@pytest.fixture(scope="module")
def by_customer(sales: pd.DataFrame) -> pd.DataFrame:
    groups = sales.groupby("CustomerID")
    return pd.DataFrame(
        {
            "lines": groups.size(),
            "net_total": groups["net"].sum(),
            "days_since_last": (sales["day"].max() - groups["day"].max()).dt.days,
            "mean_line": groups["net"].mean(),
            "orders": groups["Transaction_ID"].nunique(),
        }
    )


def test_the_same_seed_gives_the_same_bytes(default_data: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(default_data)


def test_the_default_data_has_not_moved(default_data: Path) -> None:
    assert digests(default_data)["Online_Sales.csv"] == DEFAULT_SALES_SHA256


def test_another_seed_gives_other_data(default_data: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", seed=7)
    other, default = digests(tmp_path / "other"), digests(default_data)
    assert other["Online_Sales.csv"] != default["Online_Sales.csv"]
    assert other["CustomersData.csv"] != default["CustomersData.csv"]


def test_the_published_counts_are_met_exactly(default_data: Path, sales: pd.DataFrame) -> None:
    def rows(name: str) -> pd.DataFrame:
        return pd.read_csv(default_data / name)

    assert len(sales) == 52_924
    customers = rows("CustomersData.csv")
    assert len(customers) == customers["CustomerID"].nunique() == 1_468
    assert set(sales["CustomerID"]) == set(customers["CustomerID"])
    assert (sales["Transaction_Date"].min(), sales["Transaction_Date"].max()) == (
        "20190101",
        "20191231",
    )
    taxes = rows("Tax_amount.csv")
    assert len(taxes) == 20
    assert set(sales["Product_Category"]) == set(taxes["Product_Category"])
    coupons = rows("Discount_Coupon.csv")
    assert len(coupons) == 204
    assert set(coupons.groupby("Product_Category").size()) == {12}
    assert set(coupons["Product_Category"]) - set(sales["Product_Category"]) == {"Notebooks"}
    assert set(sales["Product_Category"]) - set(coupons["Product_Category"])
    assert len(rows("Marketing_Spend.csv")) == 365


def test_lines_resemble_the_published_figures(sales: pd.DataFrame) -> None:
    net = sales["net"]
    assert net.mean() == pytest.approx(82.39, rel=0.05)
    assert net.std() == pytest.approx(152.9, rel=0.10)
    assert net.quantile([0.25, 0.5, 0.75]).tolist() == pytest.approx([10.87, 28.0, 119.0], rel=0.12)
    assert net.max() == pytest.approx(8_409.91, rel=0.01)
    assert net.skew() > 5


def test_customers_resemble_the_published_figures(by_customer: pd.DataFrame) -> None:
    published = {
        "lines": (36.1, 50.9),
        "net_total": (2_970, 4_738),
        "days_since_last": (145, 102),
        "mean_line": (81.4, 53.6),
    }
    for column, (mean, deviation) in published.items():
        assert by_customer[column].mean() == pytest.approx(mean, rel=0.06), column
        assert by_customer[column].std() == pytest.approx(deviation, rel=0.12), column
    assert 6 <= (by_customer["net_total"] > 25_000).sum() <= 14
    assert (by_customer[["lines", "net_total", "mean_line"]].skew() > 2).all()
    assert by_customer["days_since_last"].skew() > 0.3


def test_customers_fall_into_the_five_natural_groups(by_customer: pd.DataFrame) -> None:
    customers = by_customer.assign(order_value=by_customer["net_total"] / by_customer["orders"])
    features = customers[["days_since_last", "orders", "net_total", "order_value"]]
    scaled = StandardScaler().fit_transform(np.log1p(features))
    labels = KMeans(5, n_init=10, random_state=1).fit_predict(scaled)
    assert silhouette_score(scaled, labels) > 0.33
    groups = features.groupby(labels).median()
    assert features.groupby(labels).size().min() > 100
    champions = groups["net_total"].idxmax()
    lapsing = groups["days_since_last"].idxmax()
    big_spenders = groups["order_value"].idxmax()
    assert champions == groups["orders"].idxmax() == groups["days_since_last"].idxmin()
    assert len({champions, lapsing, big_spenders}) == 3
    assert groups["orders"][big_spenders] == groups["orders"].min()
    loyal, occasional = groups["orders"].drop([champions, lapsing, big_spenders]).nlargest(2).index
    assert groups["orders"][loyal] > groups["orders"][lapsing] > groups["orders"][occasional]


def test_people_and_places_are_shared_out_as_published(default_data: Path) -> None:
    customers = pd.read_csv(default_data / "CustomersData.csv")
    assert (customers["Gender"] == "F").mean() == pytest.approx(0.636, abs=0.03)
    shares = customers["Location"].value_counts(normalize=True).to_dict()
    assert shares == pytest.approx(
        {"California": 0.316, "Chicago": 0.311, "New York": 0.221, "New Jersey": 0.101,
         "Washington DC": 0.051},
        abs=0.03,
    )  # fmt: skip
    assert (customers["Tenure_Months"].min(), customers["Tenure_Months"].max()) == (2, 50)


def test_the_published_quirks_are_there(default_data: Path, sales: pd.DataFrame) -> None:
    assert b"\r\n" in (default_data / "CustomersData.csv").read_bytes()
    assert b"\r\n" not in (default_data / "Online_Sales.csv").read_bytes()
    assert b"\n1/31/2019," in (default_data / "Marketing_Spend.csv").read_bytes()
    assert b",18%" in (default_data / "Tax_amount.csv").read_bytes()
    assert sales["Product_Description"].str.contains("&quot;").any()
    assert (sales.groupby("Product_SKU")["Avg_Price"].nunique() > 3).mean() > 0.5
    transactions = sales.groupby("Transaction_ID")
    assert transactions.size().max() > 10
    assert (transactions["CustomerID"].nunique() == 2).any()
    assert (transactions["Delivery_Charges"].nunique() == 1).all()
    statuses = sales["Coupon_Status"].value_counts(normalize=True).to_dict()
    assert statuses == pytest.approx({"Clicked": 0.51, "Used": 0.34, "Not Used": 0.15}, abs=0.02)


def test_a_product_code_names_one_product() -> None:
    products = [p for shelf in build_catalogue(random.Random(1)).values() for p in shelf]
    assert len(products) == len({product.sku for product in products}) == 1_145
    assert len({product.name for product in products}) == 1_145


def test_scale_multiplies_customers_and_lines(tmp_path: Path) -> None:
    generate(tmp_path / "twice", scale=2)
    sales = pd.read_csv(tmp_path / "twice" / "Online_Sales.csv")
    assert (len(sales), sales["CustomerID"].nunique()) == (105_848, 2_936)
    assert sales["Transaction_Date"].between(20190101, 20191231).all()


def test_a_complete_directory_is_left_alone(tmp_path: Path) -> None:
    generate(tmp_path / "data")
    (tmp_path / "data" / "Tax_amount.csv").write_text("touched")
    generate(tmp_path / "data")
    assert (tmp_path / "data" / "Tax_amount.csv").read_text() == "touched"
    generate(tmp_path / "data", seed=3)
    assert (tmp_path / "data" / "Tax_amount.csv").read_text() != "touched"


def test_files_of_someone_else_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "CustomersData.csv").write_text("mine")
    with pytest.raises(InputError, match="did not write"):
        generate(tmp_path)
    assert (tmp_path / "CustomersData.csv").read_text() == "mine"


def test_a_scale_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a scale of 0"):
        generate(tmp_path / "data", scale=0)


def test_a_killed_run_leaves_no_half_directory(default_data: Path, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    program = (
        "import sys; from pathlib import Path; from batch.generator import generate;"
        "print('started', flush=True); generate(Path(sys.argv[1]))"
    )
    for delay in (0.02, 0.2, 0.35, 0.5):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert not directory.exists() or digests(directory) == digests(default_data)
    generate(directory)
    assert digests(directory) == digests(default_data)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["data"]


def test_generated_files_load_without_a_complaint(
    database: DatabaseEndpoint, default_data: Path
) -> None:
    report = load_directory(database, default_data, generated=True)
    assert [source.rows for source in report.sources] == [1_468, 52_924, 365, 204, 20]
    assert sum(source.rejected for source in report.sources) == 0
    assert report.unknown_customer_sales == 0
    assert (default_data / MARKER).exists()
