"""A simulated robot arm that pushes an object over a table, seen by a camera that does not move.

The arm is KUKA's iiwa in PyBullet, with motors in its seven joints and a rod as its tool. What it is told is a
direction, with the numbers of procgen's nine directions, and the tool moves that way at a constant height; the object
moves only where the rod meets it. Pictures need no graphics card: PyBullet's own software renderer draws them.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from genie_lite.data.errors import DatasetError

NUM_DIRECTIONS = 9  # env actions: those of procgen that CoinRun knows
FRAME_SHAPE = (64, 64, 3)
DETAIL = 2  # pictures are drawn so many times larger, which smooths edges
STEPS_PER_SECOND = 60  # game steps
PHYSICS_STEPS = 4  # per game step
SPEED = (0.95, 0.85)  # of the tool, metres a second: towards the camera, and to the right
REACH = ((0.39, 0.73), (-0.26, 0.26))  # where the tool may go, metres in front of the arm's base and to the right
TRAY = ((0.42, 0.70), (-0.23, 0.23))  # where a rim keeps the object; the tool moves above the rim
HEIGHT, ROD = 0.22, 0.19  # of the hand above the table, and the length of the rod that it holds, metres
REST = (0.0, 0.6, 0.0, -1.5, 0.0, 1.0, 0.0)  # angles of the joints from which poses are solved
EYE, TARGET, FIELD_OF_VIEW = (1.3, 0.0, 1.4), (0.5, 0.0, 0.11), 25
ARM = {-1: 0.25, 0: 0.3, 1: 0.8, 2: 0.8, 3: 0.3, 4: 0.85, 6: 0.2, 7: 0.2}  # greys of the links
WRIST, WRIST_COLOUR = 5, (1.0, 0.42, 0.04)
OBJECT_COLOURS = ((0.12, 0.3, 0.9), (0.1, 0.62, 0.2), (0.78, 0.1, 0.62))
TABLES = (((108, 112, 120), (172, 174, 178)), ((120, 112, 104), (196, 188, 178)), ((84, 90, 92), (140, 148, 150)))


def robot_available() -> bool:
    """Whether this Python has PyBullet, and so can collect new videos of the robot arm."""
    return importlib.util.find_spec("pybullet") is not None


def import_pybullet() -> Any:
    """The module pybullet; DatasetError where it is missing."""
    try:
        return importlib.import_module("pybullet")
    except ImportError as error:
        raise DatasetError(
            f"collecting videos of the robot arm needs PyBullet, which is missing with Python "
            f"{platform.python_version()} ({error}). Wheels exist for Linux x86-64 and Python 3.11: "
            "`pip install -c constraints.txt -e '.[robot]'`. Without it everything else works from the videos that "
            "ship: genie_lite.data.sample_dataset('train', game='robot')"
        ) from error


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a level looks like and how it begins; positions are metres in front of the base, and to the right."""

    tool: np.ndarray
    object: np.ndarray
    angle: float
    colour: tuple[float, float, float]
    box: bool  # else a cylinder
    size: float  # half the width of the object, metres
    table: int

    @classmethod
    def of_level(cls, level_seed: int) -> Layout:
        """The layout of a level, a pure function of its number."""
        rng = np.random.default_rng([17, level_seed])
        near, far = np.array(TRAY).T
        place = rng.uniform(near + 0.06, far - 0.06)
        tool = rng.uniform(*np.array(REACH).T)
        while np.linalg.norm(tool - place) < 0.12:
            tool = rng.uniform(*np.array(REACH).T)
        return cls(
            tool=tool,
            object=place,
            angle=rng.uniform(-0.4, 0.4),
            colour=OBJECT_COLOURS[rng.integers(len(OBJECT_COLOURS))],
            box=bool(rng.random() < 0.6),
            size=rng.uniform(0.045, 0.055),
            table=int(rng.integers(len(TABLES))),
        )


class RobotArm:
    """One arm, one table, one object. DatasetError without PyBullet."""

    def __init__(self, level_seed: int) -> None:
        self._engine = import_pybullet()
        self._client = self._engine.connect(self._engine.DIRECT)
        self._view = self._engine.computeViewMatrix(EYE, TARGET, (0, 0, 1))
        self._lens = self._engine.computeProjectionMatrixFOV(FIELD_OF_VIEW, 1, 0.1, 4)
        self._layout = Layout.of_level(level_seed)
        self._background = self._draw_background()
        self._goal = self._layout.tool.copy()
        self._build()

    def close(self) -> None:
        """Give the simulation's memory back."""
        self._engine.disconnect(self._client)

    @property
    def tool(self) -> np.ndarray:
        """Where the rod is: metres in front of the base and to the right, float64 [2]."""
        return np.array(self._engine.getLinkState(self._arm, WRIST + 1, physicsClientId=self._client)[4][:2])

    @property
    def object(self) -> np.ndarray:
        """Where the object is: metres in front of the base and to the right, float64 [2]."""
        return np.array(self._engine.getBasePositionAndOrientation(self._object, physicsClientId=self._client)[0][:2])

    def step(self, env_action: int) -> None:
        """Move the tool for one game step; `env_action` is 3 * (left, none, right) + (down, none, up) as seen."""
        across, up = env_action // 3 - 1, env_action % 3 - 1
        velocity = np.array([-up * SPEED[0], across * SPEED[1]])
        self._goal = np.clip(self._goal + velocity / STEPS_PER_SECOND, *np.array(REACH).T)
        self._engine.setJointMotorControlArray(
            self._arm,
            range(len(REST)),
            self._engine.POSITION_CONTROL,
            self._pose(self._goal),
            forces=[400.0] * len(REST),
            positionGains=[0.25] * len(REST),
            physicsClientId=self._client,
        )
        for _ in range(PHYSICS_STEPS):
            self._engine.stepSimulation(physicsClientId=self._client)

    def picture(self) -> np.ndarray:
        """What the camera sees, uint8 [H, W, C]."""
        size = FRAME_SHAPE[0] * DETAIL
        found = self._engine.getCameraImage(
            size,
            size,
            self._view,
            self._lens,
            shadow=0,
            lightDirection=(1.5, -1, 3),
            renderer=self._engine.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        pixels = np.reshape(found[2], (size, size, 4))[..., :3].astype(np.float32)
        empty = ~np.isin(np.reshape(found[4], (size, size)), (self._arm, self._object))
        pixels[empty] = self._background[empty]
        height, width, channels = FRAME_SHAPE
        return np.rint(pixels.reshape(height, DETAIL, width, DETAIL, channels).mean((1, 3))).astype(np.uint8)

    def on_screen(self, place: np.ndarray, height: float) -> np.ndarray:
        """Column and row, in pixels of a frame, of a place on the table [2], `height` metres above it."""
        view, lens = (np.reshape(matrix, (4, 4)).T for matrix in (self._view, self._lens))
        point = lens @ view @ np.array([place[0], place[1], height, 1.0])
        across, up = point[:2] / point[3]
        return np.array([(across + 1) / 2 * FRAME_SHAPE[1], (1 - up) / 2 * FRAME_SHAPE[0]])

    def _build(self) -> None:
        engine, client, layout = self._engine, {"physicsClientId": self._client}, self._layout
        engine.setGravity(0, 0, -9.81, **client)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "arm.urdf"
            file.write_text(_arm_with_rod())
            self._arm = engine.loadURDF(str(file), useFixedBase=True, **client)
        for link, grey in ARM.items():
            engine.changeVisualShape(self._arm, link, rgbaColor=(grey, grey, grey, 1), **client)
        engine.changeVisualShape(self._arm, WRIST, rgbaColor=(*WRIST_COLOUR, 1), **client)
        speck = engine.createVisualShape(engine.GEOM_SPHERE, radius=1e-4, **client)  # else the renderer draws solids
        engine.createMultiBody(0, engine.createCollisionShape(engine.GEOM_PLANE, **client), speck, **client)
        half, kind = layout.size, engine.GEOM_BOX if layout.box else engine.GEOM_CYLINDER
        solid = {"halfExtents": [half] * 3} if layout.box else {"radius": half, "height": 2 * half}
        seen = {"halfExtents": [half] * 3} if layout.box else {"radius": half, "length": 2 * half}
        self._object = engine.createMultiBody(
            0.3,
            engine.createCollisionShape(kind, **solid, **client),
            engine.createVisualShape(kind, rgbaColor=(*layout.colour, 1), **seen, **client),
            basePosition=(*layout.object, half),
            baseOrientation=engine.getQuaternionFromEuler((0, 0, layout.angle)),
            **client,
        )
        engine.changeDynamics(self._object, -1, lateralFriction=0.6, linearDamping=0.2, angularDamping=0.5, **client)
        self._fence(speck)
        for joint, angle in enumerate(self._pose(self._goal, from_rest=True)):
            engine.resetJointState(self._arm, joint, angle, **client)

    def _fence(self, speck: int) -> None:
        """Walls that nobody sees, which stop the object and not the arm."""
        engine, client = self._engine, {"physicsClientId": self._client}
        (near, far), (left, right) = TRAY
        for place, half in (
            ((near - 0.02, 0, 0.1), (0.02, 1, 0.1)),
            ((far + 0.02, 0, 0.1), (0.02, 1, 0.1)),
            ((0.5, left - 0.02, 0.1), (1, 0.02, 0.1)),
            ((0.5, right + 0.02, 0.1), (1, 0.02, 0.1)),
        ):
            shape = engine.createCollisionShape(engine.GEOM_BOX, halfExtents=half, **client)
            wall = engine.createMultiBody(0, shape, speck, basePosition=place, **client)
            engine.changeDynamics(wall, -1, lateralFriction=0.0, **client)
            for link in range(-1, engine.getNumJoints(self._arm, **client)):
                engine.setCollisionFilterPair(self._arm, wall, link, -1, 0, **client)

    def _pose(self, place: np.ndarray, from_rest: bool = False) -> list[float]:
        """Angles of the joints that hold the rod upright at `place`."""
        engine, client = self._engine, {"physicsClientId": self._client}
        upright = engine.getQuaternionFromEuler((0, np.pi, 0))
        if from_rest:
            for joint, angle in enumerate(REST):
                engine.resetJointState(self._arm, joint, angle, **client)
        angles: list[float] = list(REST)
        for _ in range(5 if from_rest else 1):
            angles = engine.calculateInverseKinematics(
                self._arm, WRIST + 1, (*place, HEIGHT), upright, maxNumIterations=60, residualThreshold=1e-5, **client
            )
            if from_rest:
                for joint, angle in enumerate(angles):
                    engine.resetJointState(self._arm, joint, angle, **client)
        return list(angles)

    def _draw_background(self) -> np.ndarray:
        """The empty table with its tray, float32 [H, W, C] as large as pictures are drawn."""
        table, tray = TABLES[self._layout.table]
        size, finer = FRAME_SHAPE[0] * DETAIL, 4
        picture = Image.new("RGB", (size * finer, size * finer), table)
        (near, far), (left, right) = TRAY
        corners = [(near, left), (near, right), (far, right), (far, left)]
        outline = [tuple(self.on_screen(np.array(corner), 0) * DETAIL * finer) for corner in corners]
        draw = ImageDraw.Draw(picture)
        draw.polygon(outline, fill=tray)
        draw.line([*outline, outline[0]], fill=tuple(int(0.6 * value) for value in table), width=finer * DETAIL)
        return np.asarray(picture.resize((size, size), Image.Resampling.BOX), np.float32)


def _arm_with_rod() -> str:
    """PyBullet's description of the arm, with a rod fixed to its hand."""
    folder = Path(importlib.import_module("pybullet_data").getDataPath()) / "kuka_iiwa"
    shape = f'<origin xyz="0 0 {ROD / 2}"/><geometry><cylinder radius="0.022" length="{ROD}"/></geometry>'
    rod = (
        '<link name="rod"><inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" '
        f'iyz="0"/></inertial><visual>{shape}</visual><collision>{shape}</collision></link>'
        '<joint name="rod_joint" type="fixed"><parent link="lbr_iiwa_link_7"/><child link="rod"/>'
        '<origin xyz="0 0 0"/></joint></robot>'
    )
    text = (folder / "model.urdf").read_text()
    return text.replace('filename="meshes/', f'filename="{folder}/meshes/').replace("</robot>", rod)
