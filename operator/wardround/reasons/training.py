"""Why a training pod fails for its data or its code."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import (
    CLUSTER,
    CORRECTED,
    EXIT_CODE,
    EXIT_DATA,
    EXIT_TRY_AGAIN,
    HOSPITAL,
    IMAGE,
    NEW_PREDICTION,
    ROUND,
    ROUND_OR_HOSPITAL,
    Reason,
    Words,
)

_site = partial(Reason, failure_class="Site", owner=HOSPITAL)
_code = partial(Reason, failure_class="Code", owner=IMAGE)
# A container of ours in the training pod ends for these.
_data = partial(_site, exit_code=EXIT_DATA, reporters=("Pod",))
_output = partial(_code, exit_code=EXIT_CODE, reporters=("Pod",))
_platform = partial(Reason, failure_class="Platform", retried=True, owner=CLUSTER)

_DATA = (
    _data(
        name="ColumnMissing",
        places=(Place.PREDICTION_FAILED,),
        concerns="File",
        meaning="The data file has no column for a field of the Dataset or of its DataSchema.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the message of the condition "
        "Ready names the missing column. If the file has this column under another name, write that name into `from` "
        "of the field, in spec.fields of Dataset DATASET. If the file does not have it, add the column to the file.",
        at_prediction=Words(
            meaning="The file of rows lacks a column that the Dataset or its DataSchema names.",
            action="The condition's message names the column. If the file has it under another name, write that "
            "name into `from` of the field, in spec.fields of Dataset DATASET. Otherwise add the column to the "
            f"file. {NEW_PREDICTION}",
        ),
    ),
    _data(
        name="DataUnreadable",
        places=(Place.PREDICTION_FAILED,),
        concerns="File",
        meaning="The training pod could not read the data file as its Dataset describes it.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output has the error. "
        "Compare spec.path and spec.format of Dataset DATASET with the file on the volume, and correct what "
        "differs. If the error is that training code ended with exit code 65, this code could not use the data. "
        "Then read the log of the training code with the command in the error's message.",
        at_prediction=Words(
            meaning="The pod could not read the file of rows as its Dataset describes it.",
            action="Compare spec.rows of the Prediction, and spec.format of Dataset DATASET, with the file on the "
            f"claim. {NEW_PREDICTION}",
        ),
    ),
    _platform(
        name="DataReplaced",
        exit_code=EXIT_TRY_AGAIN,
        owner=HOSPITAL,
        places=(Place.PREDICTION_FAILED,),
        reporters=("Pod",),
        concerns="File",
        meaning="Somebody replaced or changed the data file while the training pod read it.",
        action="Nobody has to act now: the hub makes another attempt. From now on, replace the data file only while "
        "no task runs. Or write the new file under another name, and change spec.path of Dataset DATASET.",
        at_prediction=Words(
            meaning="Somebody replaced or changed the file of rows while the pod read it.",
            action="Write a new file under another name, and name it in a new Prediction.",
        ),
    ),
    _data(
        name="SplitKeyLost",
        concerns="Split",
        meaning="The key that decides which patients are held out is missing or unusable. So the training pod read "
        "no row: with another key, held-out patients would enter training.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the file of "
        "the key. If you have a backup, restore this file or the claim `state`, run `kubectl wardround dataset read "
        "DATASET -n SITE_NAMESPACE`, and ask the round's author for a new round. If you have no backup, other "
        "patients have to be held out: apply the Dataset under another name, list this name in policy.datasets, and "
        "ask the round's author to train new models from the beginning.",
    ),
    _data(
        name="SplitKeyChanged",
        concerns="Split",
        meaning="The key that decides which patients are held out has changed. So the training pod read no row: "
        "with the new key, held-out patients would enter training.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the file of "
        "the key. If you have a backup of the former key file, restore it, run `kubectl wardround dataset read "
        "DATASET -n SITE_NAMESPACE`, and ask the round's author for a new round. If you have no backup, other "
        "patients have to be held out: apply the Dataset under another name, list this name in policy.datasets, and "
        "ask the round's author to train new models from the beginning.",
    ),
    _data(
        name="SplitChanged",
        concerns="Split",
        meaning="Somebody deleted the Dataset and applied another one under its name, which holds out other "
        "patients (its identifier, split or key differs). So the training pod read no row: held-out patients would "
        "enter training.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the changed "
        "field. To keep the former split, apply the Dataset with its former fields, run `kubectl wardround dataset "
        "read DATASET -n SITE_NAMESPACE`, and ask the round's author for a new round. To keep the new split, apply "
        "the Dataset under another name, list this name in policy.datasets, and ask the round's author to train new "
        "models from the beginning.",
    ),
    _data(
        name="IdentifiersChanged",
        concerns="File",
        meaning="Most patients of the last reading are missing in the data file. Either the file writes the "
        "patients' identifiers in another way, or it has other patients. So the training pod refused the file: "
        "held-out patients could enter training.",
        action="Compare the column of identifiers with the former file. Often an export has written 1001.0 for "
        "1001, or has dropped zeros at the beginning. Then export the file with the former identifiers, and run "
        "`kubectl wardround dataset read DATASET -n SITE_NAMESPACE` at the site. If the patients are really others, "
        "apply the Dataset under another name, list this name in policy.datasets, and ask the round's author to "
        "train new models from the beginning.",
    ),
    _data(
        name="ColumnsChanged",
        concerns="File",
        meaning="The training pod refused the data file: a column seems to have another unit than when the file was "
        "last read, or the two labels of the target seem to be exchanged.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the columns. "
        "Compare them with the former file. (1) If the new file is wrong, export it as before, and run `kubectl "
        "wardround dataset read DATASET -n SITE_NAMESPACE`. (2) If the hospital writes another unit from now on, set "
        "scale and offset of the field in spec.fields of the Dataset. (3) If it writes other labels from now on, set "
        "categories of the target there. (4) If the former file was wrong, set spec.columnsVersion of the Dataset to "
        "another number: the next reading then compares no column. In each case, ask the round's author for a new "
        "round afterwards.",
    ),
    _data(
        name="TooManyRowsLeftOut",
        concerns="Limits",
        meaning="So many rows of the data file break the DataSchema that no task trains on the file: their share is "
        "above policy.maxLeftOut of the Site.",
        action="Read status.leftOut of Dataset DATASET: it counts these rows by field and reason. Correct the file "
        "or the Dataset, and test with `kubectl wardround dataset check FILE.yaml FILE.csv`. If the hospital wants "
        "to train without these rows, raise policy.maxLeftOut in the values of the site chart: the site operator "
        "then has the file read again. After that, ask the round's author for a new round.",
    ),
    _data(
        name="TooFewSamples",
        concerns="Limits",
        meaning="The data file has fewer samples than policy.minSamples or policy.minCell of the Site. Wardround "
        "takes the smallest of three numbers as the number of samples: valid rows, patients with valid rows, and "
        "spec.maxSamples of the Participant.",
        action="Read status.leftOut of Dataset DATASET: it counts the rows that Wardround left out, by field and "
        "reason. If the file would have enough samples with these rows, correct the rows. If it would not, wait for "
        "more patients. Or lower policy.minSamples or policy.minCell in the values of the site chart (minCell to 11 "
        "at the lowest).",
    ),
    _site(
        name="NetworkOpen",
        exit_code=EXIT_TRY_AGAIN,
        places=(Place.PREDICTION_FAILED,),
        reporters=("Pod",),
        meaning="The training pod's network is open: the pod could reach an address that must be closed to it. So "
        "Wardround stopped the pod.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the address. "
        "If it is an IPv6 link-local address, do what docs/operations.md says (IPv6 link-local). Otherwise start "
        "the cluster's policy engine (a CNI that enforces NetworkPolicy). Then ask the round's author for a new "
        "round: this round does not ask the hospital again.",
        at_prediction=Words(
            meaning="The pod of the Prediction could reach an address that must be closed to it.",
            action="The condition's message names the address. Start the cluster's policy engine (a CNI that "
            f"enforces NetworkPolicy). {NEW_PREDICTION}",
        ),
    ),
)
_OUTPUT = (
    _output(
        name="OutputMissing",
        places=(Place.PREDICTION_FAILED,),
        meaning="The training code ended with exit code 0, but wrote no model or no predictions.",
        action="Let the training code write its output before it ends: out/model.safetensors in a Train round, "
        "out/predictions.f64 in an Evaluate round or a Prediction.",
    ),
    _output(
        name="OutputNotSafetensors",
        reporters=("Pod", "Courier"),
        meaning="The model that the training code wrote is not a safetensors file, or one of its tensors has a "
        "dtype that Wardround does not read.",
        action="Let the training code save the model with safetensors, in F64, F32, I64, I32, U8 or BOOL. Wardround "
        "refuses pickles (torch.save).",
    ),
    _output(
        name="HalfPrecision",
        meaning="A tensor of the model that the training code wrote is in half precision (F16 or BF16). An update "
        "would lose most of its digits.",
        action="Let `init` write the model in F32. The training code may still compute in half precision "
        "(torch.autocast): convert the weights when the code loads and saves them.",
    ),
    _output(
        name="OutputLink",
        places=(Place.PREDICTION_FAILED,),
        reporters=("Pod", "Courier"),
        meaning="The training code left a link, a pipe, a socket or a device in place of its output file.",
        action="Let the training code write a regular file into out/. Wardround refuses links, because a link could "
        "point at the data.",
    ),
    _output(
        name="OutputTooLarge",
        places=(Place.PREDICTION_FAILED,),
        meaning="The file that the training code wrote is larger than a model with the base's tensors can be.",
        action="Let the training code write only the tensors of the model into out/model.safetensors.",
    ),
    _output(
        name="TensorsDiffer",
        meaning="The tensors that the training code wrote differ from the base model's in names, shapes or types.",
        action="Let the training code keep names, shapes and types of all tensors of base/model.safetensors, and "
        "add none. Values for the next round belong into state/out/. To see the differences, ask the hospital to "
        "run `kubectl describe sitetask TASK -n SITE_NAMESPACE`: the output names up to 8 tensors of the base that "
        "are missing or differ, and counts added tensors. When the image is corrected, each hospital lists its "
        "digest in policy.images, and the round's author applies a new round with the new image.",
    ),
    _output(
        name="FrozenChanged",
        meaning="The training code changed frozen tensors. Training has to leave these tensors as they are: those "
        "that exchange.frozen of the round names, and wardround.input.*.",
        action="Let the training code write the base's values, bit for bit, for each frozen tensor. Or ask the round's "
        f"author to freeze other tensors {CORRECTED}.",
    ),
    _output(
        name="NotFinite",
        places=(Place.PREDICTION_FAILED,),
        meaning="The model or a prediction of the training code contains NaN or infinity. Usually training has "
        "diverged.",
        action="Ask the round's author for a new round with a lower learning rate. Check in the training code that "
        "all inputs are standardised.",
    ),
    _output(
        name="MetricsInvalid",
        reporters=("Pod", "Courier"),
        meaning="The file out/metrics.json that the training code wrote does not follow the training contract "
        "(docs/training-image.md).",
        action="Let the training code write a JSON object with the field `base`. The value of `base` is an object "
        "that maps names of metrics to numbers. Each number of a metric that the round declares has to be finite. "
        "The object may leave metrics out.",
    ),
    _output(
        name="PredictionsInvalid",
        places=(Place.PREDICTION_FAILED,),
        meaning="The file out/predictions.f64 or out/validation.f64 that the training code wrote does not follow the "
        "training contract (docs/training-image.md).",
        action="Let the training code write one probability from 0 to 1 for each row, in the order of the rows, as a "
        "little-endian float64 of 8 bytes. In an Evaluate round, the code reads evaluation.parquet and writes "
        "out/predictions.f64. In a Train round, the code reads validation.parquet and writes out/validation.f64.",
    ),
)
_CODE = (
    _code(
        name="TrainerFailed",
        places=(Place.PREDICTION_FAILED,),
        meaning="The training code ended with an error. The log of the training code stays at the site.",
        action="Ask the hospital for the log: `kubectl logs job/TASK -n SITE_NAMESPACE -c train` (`-c init` if "
        "`init` failed in an initial round). Correct the error that the log shows. Exit code 127 means that the "
        "image does not contain the command. Exit code 126 means that the container cannot start the command. Each "
        "hospital then lists the digest of the corrected image in policy.images, and the round's author applies a "
        "new round. If the round uses the built-in trainer, the round's author acts: If weights became infinite or "
        "NaN, apply a new round with a smaller learningRate. If the pod has no GPU, apply a new round with `device: "
        "auto`.",
    ),
    _code(
        name="ParametersRefused",
        lasting=True,
        owner=ROUND,
        places=(Place.PREDICTION_FAILED,),
        meaning="The training code refused a parameter of the round: it does not know the parameter, or cannot use "
        "its value.",
        action="The parameter is PARAMETER. Compare its name and value with the documentation of the image (or with "
        f"the training contract), and correct them {CORRECTED}. The built-in trainer refuses model and hidden if they "
        "do not fit the model that the round starts from: leave both out. It refuses optimizerState if the optimizer "
        "has changed since the last round: set it to reset. If you need to know more, ask the hospital for "
        "the log of the training pod (container train, or init in an initial round).",
    ),
    _code(
        name="TrainDeadline",
        owner=ROUND,
        meaning="Training took longer than deadlines.trainSeconds of the round, so the task failed.",
        action=f"Raise deadlines.trainSeconds, or shorten training by its parameters, such as epochs, {CORRECTED}.",
    ),
)
_EVALUATIONS = (
    _data(
        name="EvaluationsUsedUp",
        lasting=True,
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital's evaluation budget is used up: in the last 30 days, rounds have evaluated as many "
        "models on this Dataset as policy.maxEvaluations of the Site allows.",
        action="The round's author: Ask the hospital when it allows the next evaluation, and apply a new round "
        "then. Models that were evaluated on the same rows before can be evaluated again at once. The hospital's "
        "administrator: Run `kubectl describe dataset DATASET -n SITE_NAMESPACE`: status.evaluations says when the "
        "next evaluation is allowed. If the hospital wants to allow more, read in docs/security.md what more "
        "evaluations reveal, and raise policy.maxEvaluations in the values of the site chart.",
    ),
    _data(
        name="EvaluationsUnreadable",
        meaning="The training pod evaluated no model, because it cannot read how many models rounds have already "
        "evaluated on this Dataset (a file on the claim `state`).",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the file. "
        "Restore the file from a backup. Without a backup, remove the file: the count then begins again at zero. "
        "Then ask the round's author to apply a new round.",
    ),
)

TRAINING = (*_DATA, *_EVALUATIONS, *_OUTPUT, *_CODE)


def at_a_dataset(known: Reason) -> Reason:
    """A reason in the words of a Dataset, whose own condition quotes the output: no SiteTask need belong to it."""
    return replace(known, action=known.action.replace("describe sitetask TASK", "describe dataset DATASET"))
