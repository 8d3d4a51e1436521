"""Send a published folder to the model hub, through its own library."""

from __future__ import annotations

from pathlib import Path

from rewards.errors import ConfigError, MintError


class HubError(MintError, RuntimeError):
    """The hub did not take the folder; what was written here stays."""


def check_hub(repository: str) -> None:
    """Raise ConfigError unless the hub can be reached, somebody is logged in, and the name is one.

    Asked before anything is written. The token is the hub library's own (`hf auth login`).
    """
    import httpx
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ConfigError(f"push={repository}: {str(error).splitlines()[0]}") from error
    if repository.count("/") != 1:
        raise ConfigError(f"push={repository} must be USER/NAME")
    where = f"push={repository}: the model hub at {constants.ENDPOINT}"
    try:
        HfApi().whoami()
    except LocalTokenNotFoundError as error:
        raise ConfigError(f"{where} needs a login: `hf auth login`") from error
    except OfflineModeIsEnabled as error:
        raise ConfigError(
            f"{where} may not be asked: HF_HUB_OFFLINE is set; leave push out to write the folder "
            "alone"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise ConfigError(
            f"{where} refuses the login (status {status}): `hf auth login`"
        ) from error
    except (httpx.HTTPError, OSError) as error:
        raise ConfigError(
            f"{where} cannot be reached ({error}); leave push out to write the folder alone, and "
            "push it later with `hf upload`"
        ) from error


def push(folder: Path, repository: str) -> str:
    """Upload the folder as one commit; a repository that is not there yet is made private.

    Returns its address. Raises HubError.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        made = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(
            folder_path=folder, repo_id=repository, commit_message="Publish a model trained by mint"
        )
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        first = str(error).splitlines()[0]
        raise HubError(
            f"push={repository} failed: {first}; {folder} is complete: hf upload {repository} "
            f"{folder}"
        ) from error
    return str(made)
