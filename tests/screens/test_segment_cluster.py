"""Segmenting gives the same files in one process, in several, and on a cluster that loses a worker."""

import os
import signal

import pytest
from typer.testing import CliRunner

from dssl_bio.imaging.segmentation import settings_for
from dssl_bio.screens.cell_block import MEASURED, add_cell_block
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.masks import LAYER, layer_folder, open_layer
from dssl_bio.screens.segment import segment_screen
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.simulation import simulate_screen
from pipelines.main import app

CONFIG = SimulationConfig(seed=5, n_molecules=32, n_replicates=4, n_batches=1, doses_um=(10.0,), site_px=64)


def files_of(folder):
    """Content of every file below a folder by its path, the layer's own record apart, which holds its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != LAYER}


@pytest.mark.slow
def test_one_process_two_and_a_cluster_that_loses_a_worker_write_the_same_files(tmp_path):
    distributed = pytest.importorskip("distributed")
    simulate_screen(tmp_path / "sim", CONFIG, n_workers=1)
    screen = ingest(read_manifest(tmp_path / "sim" / "manifest.toml"), tmp_path / "screen")
    for name, workers in (("one", "1"), ("two", "2")):
        done = CliRunner().invoke(app, ["segment", str(screen.folder), "--name", name, "--workers", workers])
        assert done.exit_code == 0, done.output
    struck = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        def strike(n_done, n_plates):
            if n_done == 1:
                struck.append(next(iter(cluster.workers.values())).pid)
                os.kill(struck[0], signal.SIGKILL)

        segment_screen(screen, settings_for("classical"), "cluster", scheduler=cluster.scheduler_address,
                       progress=strike)
        add_cell_block(screen, open_layer(screen, "cluster"), "of_cluster", scheduler=cluster.scheduler_address)
    add_cell_block(screen, open_layer(screen, "one"), "of_one")
    one = files_of(layer_folder(screen, "one"))
    masks = {path: content for path, content in one.items() if not path.startswith(MEASURED)}
    cells = {path for path in one if path.startswith(MEASURED) and path.endswith("cells.parquet")}
    on_cluster = files_of(layer_folder(screen, "cluster"))
    assert struck and len(open_layer(screen, "one").facts["plates"]) == 4 and len(cells) == 4
    assert files_of(layer_folder(screen, "two")) == masks
    assert {path: content for path, content in on_cluster.items() if not path.startswith(MEASURED)} == masks
    assert all(on_cluster[path] == one[path] for path in cells)
