"""From a run and a screen to the decoder of a bundle: both networks trained, the encoders never touched."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.artefact import new_folder, require_disk, seal, write_json
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import BundleError
from dssl_bio.learning.decoders.config import GUIDANCES, DecoderConfig
from dssl_bio.learning.decoders.decoder import Decoder, mixture
from dssl_bio.learning.decoders.flow import flow_loss
from dssl_bio.learning.decoders.material import Material, as_floats, material_of, picture_features, places
from dssl_bio.learning.decoders.prior import TEMPERATURES, weights
from dssl_bio.learning.decoders.profile import ProfileDecoder, profile_loss, widening_of
from dssl_bio.learning.decoders.storage import FOLDER, DecoderFacts, image_decoder, profile_decoder, write_decoder
from dssl_bio.learning.precision import bf16_helps
from dssl_bio.learning.run import Run
from dssl_bio.learning.training.network import Optimisation, train_network
from dssl_bio.learning.training.trainer import Progress
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import DOSE_UM, INCHIKEY, MOLECULE_ID, SMILES

logger = logging.getLogger(__name__)

MIN_WELLS, MIN_CALIBRATION, N_GUIDED = 8, 10, 32
PLAN = "plan.json"

Batch = tuple[Tensor, Tensor, Tensor]


def add_decoder(run: Run, screen: Screen, bundle: Path, config: DecoderConfig, *, minutes: float | None = None,
                resume: bool = False, progress: Progress | None = None,
                report: Callable[[str], None] = logger.info) -> None:
    """Trains decoders and puts them into a bundle; an older decoder there is replaced when the new one is complete.

    Until then the state lies in `<bundle>.decoder.partial`, and `resume` continues there.

    Args:
        run: the bundle's model; its weights do not change.
        screen: wells to learn from (those of training molecules and negative controls) and to start from (all).
        bundle: folder of the bundle.
        config: resolved configuration.
        minutes: after which the training of pictures ends.
        resume: go on with a stopped training.
        progress: called with (done, all) steps.
        report: receives lines.

    Raises:
        RunError: the screen lacks what the model reads.
        BundleError: too few wells, or nothing to resume.
    """
    work = _work_folder(bundle, run, screen, config, resume)
    material = material_of(run, screen, config.image, progress)
    train = material.rows("train")
    if len(train) < MIN_WELLS:
        raise BundleError(f"{len(train)} wells of training molecules and controls; a decoder needs {MIN_WELLS}")
    pictured = material.pictures is not None and config.image.steps > 0
    if not pictured:
        material = replace(material, pictures=None)
    report(require_disk(bundle, material.features.nbytes + 50_000_000
                        + (material.pictures.nbytes if material.pictures is not None else 0)))
    size = run.facts.pixel_size_um * config.image.shrink if pictured else 0.0
    facts = DecoderFacts(material.codes.shared.shape[1], material.codes.specific.shape[1] if config.specific else 0,
                         material.names, run.facts.channels if pictured else (), size,
                         run.config.shared.temperature, "", 0)
    torch.manual_seed(config.seed)
    profile = profile_decoder(config, facts)
    profile.fit_scale(torch.from_numpy(material.features[train]))
    _train_profile(profile, material, config, facts, work / "features", report, progress)
    velocity = image_decoder(config, facts) if pictured else None
    if velocity is not None:
        done = _train_image(velocity, material, config, facts, minutes, work / "pictures", report, progress)
        facts = replace(facts, image_steps=done)
        if done < config.image.steps:
            report(f"time was up after {done} of {config.image.steps} steps of pictures")
    facts = _calibrated(run, screen, Decoder(bundle, {}, config, facts, profile.eval(), velocity, material), report)
    if velocity is not None:
        decoder = Decoder(bundle, {}, config, facts, profile, velocity, material)
        facts = replace(facts, guidance=chosen_guidance(decoder, config.seed, report))
    with new_folder(bundle / FOLDER, "decoder") as folder:
        write_decoder(folder, config, facts, profile, velocity, material)
        seal(folder, "decoder", {"run": run.id, "screen": screen.id, "screen_name": screen.name},
             calibration=facts.calibration, n_training_wells=len(train))
    shutil.rmtree(work, ignore_errors=True)


def _work_folder(bundle: Path, run: Run, screen: Screen, config: DecoderConfig, resume: bool) -> Path:
    work = bundle.with_name(f"{bundle.name}.decoder.partial")
    plan = {"run": run.id, "screen": screen.id, "config": config.model_dump(mode="json")}
    if work.exists() and not (work / PLAN).is_file():
        raise BundleError(f"{work}, where the decoder would lie until it is complete, holds no training; move it away")
    if resume:
        if not work.exists():
            raise BundleError(f"nothing to resume: {work} does not exist")
        if _read_plan(work) != plan:
            raise BundleError(f"{work} was begun with another run, screen or configuration; resume with the same, or "
                              "start anew without --resume")
        return work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_json(work / PLAN, plan)
    return work


def _read_plan(work: Path) -> object:
    try:
        return json.loads((work / PLAN).read_text(encoding="utf-8"))
    except ValueError:
        return None


def _draws(material: Material, facts: DecoderFacts, n: int, seed: int, exchanged: float,
           ) -> Callable[[int, int], Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]]:
    """Minibatches of training wells with codes: shared of the well itself or of all wells of its treatment.

    Decoders meet both: a well's own code when a picture is taken apart, and the treatment's when one is asked for. The
    specific part is the well's own, or that of any training well of its plate.
    """
    train, codes = material.rows("train"), material.codes
    specific = codes.specific if facts.specific_dim else codes.specific[:, :0]
    place, around = _neighbourhoods(material)

    def epoch(number: int, length: int) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        generator = np.random.default_rng([seed, number])
        torch.manual_seed(int(generator.integers(2**62)))
        for _ in range(length):
            rows = np.sort(generator.choice(train, min(n, len(train)), replace=False))
            of_treatment = generator.random(len(rows)) < 0.5
            shared = np.where(of_treatment[:, None], material.treatments[material.treatment[rows]], codes.shared[rows])
            other = generator.random(len(rows)) < exchanged
            given = np.where(other, [generator.choice(around[number]) for number in place[rows]], rows)
            yield rows, torch.from_numpy(shared.astype(np.float32)), torch.from_numpy(specific[given])

    return epoch


def _train_profile(decoder: ProfileDecoder, material: Material, config: DecoderConfig, facts: DecoderFacts,
                   folder: Path, report: Callable[[str], None], progress: Progress | None) -> None:
    options = config.profile
    steps = Optimisation(options.steps, options.learning_rate, options.weight_decay, steps_per_epoch=200)
    draws = _draws(material, facts, options.batch_size, config.seed, config.exchanged)

    def batches(epoch: int) -> Iterator[Batch]:
        for rows, shared, specific in draws(epoch, steps.steps_per_epoch):
            yield torch.from_numpy(np.asarray(material.features[rows])), shared, specific

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        features, shared, specific = batch
        return profile_loss(network, features, _noisy(shared, options.noise), _noisy(specific, options.noise))

    train_network(decoder, loss, batches, steps, folder, report, progress)


def _noisy(codes: Tensor, noise: float) -> Tensor:
    return F.normalize(codes + noise * torch.randn_like(codes), dim=1) if codes.shape[1] else codes


def _train_image(velocity: nn.Module, material: Material, config: DecoderConfig, facts: DecoderFacts,
                 minutes: float | None, folder: Path, report: Callable[[str], None],
                 progress: Progress | None) -> int:
    options, pictures = config.image, material.pictures
    assert pictures is not None
    steps = Optimisation(options.steps, options.learning_rate, options.weight_decay, 0.99, minutes, 50)
    draws = _draws(material, facts, options.batch_size, config.seed + 1, config.exchanged)

    def batches(epoch: int) -> Iterator[Batch]:
        for rows, shared, specific in draws(epoch, steps.steps_per_epoch):
            yield _turned(torch.from_numpy(as_floats(pictures[rows]))), shared, specific

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        return flow_loss(network, *batch, without=options.without)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    velocity.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    done = train_network(velocity, loss, batches, steps, folder, report, progress, bf16_helps(device))
    velocity.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return done


def _turned(pictures: Tensor) -> Tensor:
    """Pictures mirrored and turned at random: cells have no up."""
    flips = torch.rand(3) < 0.5
    axes = [axis for axis, wanted in zip((2, 3), flips[:2], strict=True) if wanted]
    pictures = pictures.flip(axes) if axes else pictures
    return pictures.transpose(2, 3) if flips[2] else pictures


def _calibrated(run: Run, screen: Screen, decoder: Decoder, report: Callable[[str], None]) -> DecoderFacts:
    """Temperature and intervals from validation molecules: their wells as predicted from structure.

    Asked is what another well of the plate would show under the molecule, as a counterfactual asks: the specific part
    of the molecule's own well may know the molecule, and intervals would be too narrow.
    """
    material, facts = decoder.material, decoder.facts
    rows = material.rows("valid")
    known = set(screen.molecules[MOLECULE_ID])
    rows = rows[[name in known for name in material.wells[MOLECULE_ID].iloc[rows]]]
    if len(rows) < MIN_CALIBRATION or len(decoder.library) < MIN_CALIBRATION:
        rows = material.rows("train")
        _widen_by_training_wells(decoder, rows)
        return replace(facts, calibration=f"{len(rows)} training wells, no validation molecules: intervals are too "
                                          "narrow for new molecules")
    table = screen.molecules.set_index(MOLECULE_ID)
    ids = material.wells[MOLECULE_ID].iloc[rows].to_numpy(str)
    names = np.unique(ids)
    vectors = run.embed_molecules([Molecule(table[SMILES][name], table[INCHIKEY][name]) for name in names],
                                  specific=False).shared[np.searchsorted(names, ids)]
    target = decoder.profile.standardised(torch.from_numpy(np.asarray(material.features[rows])))
    means, variances = _mixtures(decoder, rows, vectors)
    errors = (means - target).square().mean((1, 2)) / target.square().mean()
    best = int(errors.argmin())
    decoder.profile.widening.copy_(widening_of(target - means[best], variances[best].sqrt()))
    words = (f"{len(rows)} wells of {len(names)} validation molecules, predicted from structure: squared error "
             f"{float(errors[best]):.3f} of the training mean's")
    report(f"temperature {TEMPERATURES[best]:g} by {words}")
    return replace(facts, temperature=TEMPERATURES[best], calibration=words)


def _mixtures(decoder: Decoder, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Standardised mean and variance (K, N, F) of wells' features from structure at K temperatures."""
    doses = decoder.material.wells[DOSE_UM].to_numpy(float)[rows] if decoder.doses_um else np.full(len(rows), np.nan)
    specific, found = decoder.specific(_others(decoder.material, rows, decoder.config.seed)), []
    for dose, own, vector in zip(doses, specific, vectors, strict=True):
        codes = decoder.learned(None if np.isnan(dose) else float(dose))[1]
        share = np.concatenate([weights(vector[None], codes, temperature) for temperature in TEMPERATURES])
        found.append(mixture(decoder.profile, codes, own, torch.from_numpy(share.astype(np.float32))))
    return torch.stack([mean for mean, _ in found], dim=1), torch.stack([variance for _, variance in found], dim=1)


def _neighbourhoods(material: Material) -> tuple[NDArray[np.int64], dict[int, NDArray[np.int64]]]:
    """(W,) number of each well's plate (or run), and the training wells of each."""
    place, train = places(material.wells), material.rows("train")
    return place, {int(number): train[place[train] == number] for number in np.unique(place)}


def _others(material: Material, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A training well of the same plate (or run) for each well; the well itself where there is none."""
    rng, (place, around) = np.random.default_rng(seed), _neighbourhoods(material)
    return np.array([rng.choice(around[place[row]]) if len(around[place[row]]) else row for row in rows])


def chosen_guidance(decoder: Decoder, seed: int, report: Callable[[str], None]) -> float:
    """The configured guidance, or the one whose pictures show best what the decoder to features predicts.

    Asked are training wells under treatments of other training wells; no held-out molecule and no truth is looked at.
    """
    if decoder.config.image.guidance is not None:
        return decoder.config.image.guidance
    material, profile = decoder.material, decoder.profile
    rng = np.random.default_rng(seed)
    rows, others = (rng.choice(material.rows("train"), min(N_GUIDED, len(material.rows("train"))), replace=False)
                    for _ in range(2))
    shared, specific = decoder.source_code(others), decoder.specific(rows)
    wanted = decoder.under(shared, specific) + decoder.unexplained(rows, shared)
    target, errors = profile.standardised(torch.from_numpy(wanted)), []
    for guidance in GUIDANCES:
        drawn = decoder.pictures(rows, shared, guidance=guidance)
        found = profile.standardised(torch.from_numpy(picture_features(drawn, decoder.facts.channels)[0]))
        errors.append(float((found - target).square().mean().sqrt()))
    unchanged = profile.standardised(torch.from_numpy(np.asarray(material.features[rows])))
    best = GUIDANCES[int(np.argmin(errors))]
    report(f"guidance {best:g}: features of pictures differ from predicted ones by {min(errors):.3f} SD, those of the "
           f"unchanged wells by {float((unchanged - target).square().mean().sqrt()):.3f}")
    return best


def _widen_by_training_wells(decoder: Decoder, rows: NDArray[np.int64]) -> None:
    profile = decoder.profile
    with torch.inference_mode():
        mean, log_spread = profile(torch.from_numpy(decoder.source_code(rows)),
                                   torch.from_numpy(decoder.specific(rows)))
        target = profile.standardised(torch.from_numpy(np.asarray(decoder.material.features[rows])))
        profile.widening.copy_(widening_of(target - mean, log_spread.exp()))
