"""Every error that reaches a person, as one tree.

    ColdblitzError
    ├── SettingsError              (setting) an environment variable or a project's extra param is wrong
    ├── LabelStudioError           Label Studio said no
    │   ├── LabelStudioUnreachable     (passes) no answer, 5xx, 429, database locked
    │   ├── LabelStudioRefused         (setting) 401 or 403: the token is wrong or has no right to this
    │   ├── LabelStudioMissing         404
    │   │   └── Gone                       the project or task that a job is about
    │   ├── LabelConfigError           the label config has nothing for us to predict
    │   ├── LabelStudioInvalid         400 or 413: it cannot do anything with what it was sent
    │   └── PredictionRefused          (passes) it does not take a prediction, which is made anew
    ├── PayloadError               a request that does not look like Label Studio's
    ├── TrackError                 the boxes of one region cannot be read; other regions go on
    ├── VideoError                 this video cannot be used; others go on
    │   ├── VideoUnreachable           (passes) it could not be fetched now
    │   ├── VideoRefused               it must not or cannot be fetched
    │   └── VideoUnreadable            it is not a video, or nothing in it decodes
    ├── WeightsError               (setting) a backbone's weights are missing or do not fit
    ├── DeviceFull                 (passes) the GPU has no memory left
    ├── NotEnoughLabels            training has to wait for more labels
    ├── TrainingError              a detector could not be trained; the one before stays
    ├── CustomModelError           the researcher's model file does not do what it must
    ├── JobCancelled               an admin wanted the job to stop
    └── StorageError               (setting) the disk is full, read-only, or a file on it is damaged
        └── StoreUnreachable           (passes) the object store of STORE_URL does not answer

Each message is one sentence on what is wrong, then one on what to do. `passes` tells a job whether trying again can help,
`setting` whether it can after a restart, since the cause lies in how this installation is set up.
"""

from __future__ import annotations

from typing import ClassVar


class ColdblitzError(Exception):
    """Base of all errors that a person is meant to read.

    `message` says what is wrong with which thing; `remedy` says what to do about it.
    """

    passes: ClassVar[bool] = False
    setting: ClassVar[bool] = False

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[ColdblitzError], tuple[str, str]]:
        return (type(self), (self.message, self.remedy))


class SettingsError(ColdblitzError):
    setting = True


class LabelStudioError(ColdblitzError):
    pass


class LabelStudioUnreachable(LabelStudioError):
    passes = True


class LabelStudioRefused(LabelStudioError):
    setting = True


class LabelStudioMissing(LabelStudioError):
    pass


class Gone(LabelStudioMissing):
    pass


class LabelConfigError(LabelStudioError):
    pass


class LabelStudioInvalid(LabelStudioError):
    pass


class PredictionRefused(LabelStudioError):
    # The label config has changed since it was read, say.
    passes = True


class PayloadError(ColdblitzError):
    pass


class TrackError(ColdblitzError):
    pass


class VideoError(ColdblitzError):
    pass


class VideoUnreachable(VideoError):
    passes = True


class VideoRefused(VideoError):
    pass


class VideoUnreadable(VideoError):
    pass


class WeightsError(ColdblitzError):
    setting = True


class DeviceFull(ColdblitzError):
    passes = True


class NotEnoughLabels(ColdblitzError):
    pass


class NothingLabelled(NotEnoughLabels):
    """No region has taught anything. Why not, the account of labels knows."""


class TrainingError(ColdblitzError):
    pass


class CustomModelError(ColdblitzError):
    pass


class JobCancelled(ColdblitzError):
    pass


class StorageError(ColdblitzError):
    setting = True


class StoreUnreachable(StorageError):
    passes = True
