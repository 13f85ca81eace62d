"""What can be wrong with what a user gave us; commands and pages show the message, never a traceback."""


class DsslBioError(Exception):
    """A problem the user can mend; the message says what was expected, what came, and where."""


class ManifestError(DsslBioError):
    """A manifest is malformed or names something that is not there."""


class MoleculeError(DsslBioError):
    """A text is not a molecule we accept."""


class ImageError(DsslBioError):
    """An image file is missing, damaged, or not what the manifest says."""


class ScreenError(DsslBioError):
    """A screen folder is incomplete, inconsistent or of another version."""


class RunError(DsslBioError):
    """A run folder is incomplete, damaged, or does not fit the screen."""


class BundleError(DsslBioError):
    """A bundle is incomplete, damaged, or was made by another model."""
