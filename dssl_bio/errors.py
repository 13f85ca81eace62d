"""What can be wrong with what a user gave us; commands and pages show the message, never a traceback."""


class DsslBioError(Exception):
    """A problem the user can mend; the message says what was expected, what came, and where."""


class ConfigError(DsslBioError):
    """A configuration or a setting does not fit."""


class ManifestError(DsslBioError):
    """A manifest is malformed or names something that is not there."""


class MoleculeError(DsslBioError):
    """A text is not a molecule we accept."""


class ImageError(DsslBioError):
    """An image file is missing, damaged, or not what the manifest says."""


class QueryError(DsslBioError):
    """A file of queries, or what is asked of it, does not fit."""


class ScreenError(DsslBioError):
    """A screen folder is incomplete, inconsistent or of another version."""


class RunError(DsslBioError):
    """A run folder is incomplete, damaged, or does not fit the screen."""


class BundleError(DsslBioError):
    """A bundle is incomplete, damaged, or was made by another model."""


class EvaluationError(DsslBioError):
    """An evaluation or a benchmark cannot be made of what was given, or its folder is damaged."""
