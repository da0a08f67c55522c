"""All borders, and which share of the inputs each gets: fewer where an input takes long."""

from __future__ import annotations

from hostile.harness import Border
from hostile.of_media import Datasets, DatasetsBehindUrls, Pictures, Videos
from hostile.of_settings import CommandLine, Settings, Yaml
from hostile.of_worlds import Cards, Checkpoints, Environments, Sessions, States

SHARES: dict[type[Border], int] = {
    Settings: 15,
    Yaml: 10,
    CommandLine: 6,
    Pictures: 20,
    Videos: 10,
    Datasets: 8,
    DatasetsBehindUrls: 4,
    Checkpoints: 10,
    States: 2,
    Cards: 5,
    Sessions: 5,
    Environments: 5,
}
BORDERS = tuple(SHARES)
