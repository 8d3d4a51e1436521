"""Talk to trained models, one or two side by side: `python -m mint.chat RUN [RUN|MODEL...]`."""

from __future__ import annotations

import asyncio
import sys

from mint.chatting.options import ChatSettings
from mint.shell import cli


def main(settings: ChatSettings) -> None:
    """Entry point of `python -m mint.chat`."""
    # Imported here: graders and models take seconds, which --help should not wait for.
    from mint.chatting.house import open_house
    from mint.chatting.site import chat_app
    from mint.chatting.terminal import talk, typed
    from mint.web.listen import check_port, read_token
    from mint.web.server import serve

    if settings.terminal:
        with open_house(settings) as house:
            asyncio.run(talk(house, typed(), lambda text: print(text, end="", flush=True)))
        return
    token = read_token(settings.token_file)
    check_port(settings.host, settings.port)
    with open_house(settings) as house:
        serve(lambda port, stopping: chat_app(house, token, port, stopping), settings, "chat page")


if __name__ == "__main__":
    sys.exit(cli.run(ChatSettings, main))
