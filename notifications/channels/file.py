"""Mail into a folder: one .eml for each message, for a trial without a mail server or for a program that fetches them."""

import re
from datetime import datetime
from email.headerregistry import Address
from pathlib import Path

from notifications.channels.mail import compose
from notifications.channels.outgoing import Outgoing
from notifications.errors import Away


class FileChannel:
    """Writes `<id>.eml`. A repeat takes the place of the first, so in a folder no message ever stands twice."""

    def __init__(self, folder: Path, sender: Address) -> None:
        """The folder is made when the first message comes."""
        self.folder = folder
        self.sender = sender

    def side(self, recipient: str) -> str:
        """The folder, whoever the mail is for."""
        return str(self.folder)

    def send(self, message: Outgoing, now: datetime) -> None:
        """Write the file under another name and rename it, so that nobody ever reads half of one.

        It is not forced to the disk: this way is not for mail that must outlast a loss of power.
        """
        letter = compose(message, self.sender, now, eight_bit=True)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", message.id)
        unfinished = self.folder / f".{name}.unfinished"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(letter.as_bytes())
            unfinished.replace(self.folder / f"{name}.eml")
        except OSError as error:
            raise Away(f"the folder {self.folder} takes no file: {error.strerror or error}") from error

    def close(self) -> None:
        """Nothing is kept."""
