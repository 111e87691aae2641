"""The training text of the tiny LLaMA: short stories from a grammar of our own, without end and free of anybody's rights.

A story has one or two characters, a place, a thing and a weather that stay the same from its first sentence to its last, so
there is something to remember; numbers, prices, dialogue and questions give the vocabulary digits and punctuation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from samplerfuzz.core import seeding

GIRLS = "Anna Clara Ida Lena Maya Nora Olga Rosa Tilda Vera Zoe Mina".split()
BOYS = "Ben Carl Emil Finn Hugo Jonas Leo Max Oskar Paul Theo Viktor".split()
ANIMALS = "cat dog fox hen goat horse mouse owl duck rabbit crow donkey bear frog hedgehog".split()
PLACES = "garden,forest,village,market,harbour,kitchen,school,old mill,river,library,train station,castle,farm,bakery,lighthouse".split(",")
THINGS = "key,map,lamp,red ball,silver coin,letter,wooden boat,blue hat,clock,drum,kite,warm coat,basket,green bottle,book,ladder".split(
    ","
)
FOODS = "bread,soup,apples,honey,cheese,pancakes,berries,milk,nuts,carrots,cake,fish".split(",")
WEATHERS = "sunny,rainy,windy,cold,foggy,warm,snowy,quiet".split(",")
TIMES = "morning,evening,afternoon,night".split(",")
FEELINGS = "happy,sad,tired,hungry,proud,afraid,curious,angry,calm,surprised,lonely,brave".split(",")
TRAITS = "small,clever,old,young,brave,shy,lazy,friendly,careful,funny,stubborn,kind".split(",")
PATHS = "over the bridge,along the river,through the tall grass,up the hill,across the square,behind the church,under the trees".split(",")
SPOTS = "under a stone,behind the door,in a box,on the roof,near the well,between two trees,inside a barrel,beside the fire".split(",")
REASONS = (
    "it was getting dark,the way home was long,nobody had seen it before,the others were waiting,"
    "it belonged to a friend,there was no time to lose,winter was near,the wind had taken it away"
).split(",")
# names put together from syllables: more of them than a text repeats, as in real text
FIRST = "Al Bar Cor Dal El Fen Gar Hol Il Jor Kel Lin Mar Nor Ol Per Quin Ros Sel Tor Ul Ven Wil Yar".split()
LAST = "a an bert da dric eth fa gard ia ick in la len lo mund na or ra ric sha ta tha vin wen".split()
TOWNS = "bridge brook burg bury dale field ford gate haven hill holm land ley mere mouth port stead stone ton well wick wood worth".split()
NUMBERS = "two three four five six seven eight nine ten twelve".split()


@dataclass(frozen=True, kw_only=True)
class Character:
    """Somebody in a story: what the text calls them."""

    name: str  # "Anna", "the fox"
    subject: str  # she, he, it
    object: str  # her, him, it
    owner: str  # her, his, its
    introduction: str  # "a clever girl named Anna"

    @property
    def opening(self) -> str:
        """Return the name at the start of a sentence."""
        return self.name[0].upper() + self.name[1:]

    @property
    def pronoun(self) -> str:
        """Return the pronoun at the start of a sentence."""
        return self.subject.capitalize()


class Story:
    """The choices that hold for one whole story, and its sentences."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self.hero, self.friend = self._characters()
        self.place, self.goal = self.two(PLACES)
        self.thing, self.other = self.two(THINGS)
        self.food, self.weather, self.time = self.pick(FOODS), self.pick(WEATHERS), self.pick(TIMES)
        self.spot, self.path = self.pick(SPOTS), self.pick(PATHS)

    def pick(self, options: list[str]) -> str:
        """Return one of the options."""
        return options[int(self._random.integers(len(options)))]

    def two(self, options: list[str]) -> tuple[str, str]:
        """Return two different options."""
        first, second = self._random.choice(len(options), 2, replace=False)
        return options[int(first)], options[int(second)]

    def chance(self, probability: float) -> bool:
        """Return True with that probability."""
        return bool(self._random.random() < probability)

    def _characters(self) -> tuple[Character, Character]:
        names: list[str] = []
        people = []
        while len(people) < 2:
            kind, trait = self._random.integers(3), self.pick(TRAITS)
            article = "an" if trait[0] in "aeiou" else "a"
            if kind == 2:
                animal = self.pick(ANIMALS)
                one = Character(name=f"the {animal}", subject="it", object="it", owner="its", introduction=f"{article} {trait} {animal}")
            else:
                name, noun = (self.pick(GIRLS), "girl") if kind == 0 else (self.pick(BOYS), "boy")
                name = self.pick(FIRST) + self.pick(LAST) if self.chance(0.4) else name
                words = ("she", "her", "her") if kind == 0 else ("he", "him", "his")
                introduction = f"{article} {trait} {noun} named {name}"
                one = Character(name=name, subject=words[0], object=words[1], owner=words[2], introduction=introduction)
            if one.name not in names:
                names.append(one.name)
                people.append(one)
        return people[0], people[1]

    def opening(self) -> str:
        """Introduce the hero."""
        return self.pick([
            f"Once there was {self.hero.introduction} who lived near the {self.place}.",
            f"On a {self.weather} {self.time}, {self.hero.introduction} came to the {self.place}.",
            f"There was once {self.hero.introduction}. {self.hero.pronoun} had a {self.thing}.",
            f"It was a {self.weather} {self.time} at the {self.place}. {self.hero.opening} was {self.pick(FEELINGS)}.",
            f"In the town of {self.pick(FIRST)}{self.pick(TOWNS)}, {self.hero.introduction} lived in a house near the {self.place}.",
        ])  # fmt: skip

    def meeting(self) -> str:
        """Bring in the friend."""
        return self.pick([
            f"There {self.hero.subject} met {self.friend.introduction}.",
            f"One day {self.friend.name} came by with a basket of {self.food}.",
            f"{self.hero.opening} saw {self.friend.name} {self.spot}.",
        ])  # fmt: skip

    def trouble(self) -> str:
        """Lose, find or want the thing."""
        return self.pick([
            f"{self.hero.opening} wanted to find the {self.thing}, because {self.pick(REASONS)}.",
            f"But the {self.thing} was gone, and {self.hero.name} was {self.pick(FEELINGS)}.",
            f"{self.hero.pronoun} looked for the {self.thing} in the {self.place}, but found only a {self.other}.",
            f"The {self.thing} lay {self.spot}, and nobody knew why.",
        ])  # fmt: skip

    def speech(self) -> str:
        """Let the two talk."""
        return self.pick([
            f'"Where is my {self.thing}?" asked {self.hero.name}. "I saw it {self.spot}," said {self.friend.name}.',
            f'"Are you {self.pick(FEELINGS)}?" asked {self.friend.name}. "No, I am {self.pick(FEELINGS)}," said {self.hero.name}.',
            f'"We must go to the {self.goal}," said {self.friend.name}, "before the {self.time} is over."',
            f'"Don\'t worry," said {self.friend.name}. "I\'ll help you look for the {self.thing}."',
            f'"How much is the {self.other}?" asked {self.hero.name}. "It\'s {self._random.integers(2, 100)} coins," said {self.friend.name}.',
        ])  # fmt: skip

    def walk(self) -> str:
        """Move on."""
        return self.pick([
            f"They walked {self.path} until they came to the {self.goal}.",
            f"{self.hero.opening} ran {self.path} and did not look back.",
            f"So {self.hero.name} and {self.friend.name} went to the {self.goal} together.",
            f"After {self.pick(NUMBERS)} hours they reached the {self.goal}, and it was {self.weather} there.",
        ])  # fmt: skip

    def meal(self) -> str:
        """Eat something."""
        return self.pick([
            f"They shared {self.owned_food()} and told each other stories.",
            f"{self.friend.opening} gave {self.hero.object} some {self.food}, and {self.hero.subject} ate it all.",
            f"In the {self.goal} there were {self.pick(NUMBERS)} tables full of {self.food}.",
            f"{self.hero.opening} was hungry, so {self.hero.subject} bought {self._random.integers(2, 30)} pieces of {self.food}.",
        ])  # fmt: skip

    def owned_food(self) -> str:
        """Return food and whose it is."""
        return self.pick([f"{self.hero.owner} {self.food}", f"the {self.food}", f"some {self.food}"])

    def ending(self) -> str:
        """Close the story."""
        return self.pick([
            f"At last {self.hero.name} found the {self.thing} {self.spot}. {self.hero.pronoun} was very happy.",
            f"In the end {self.friend.name} gave {self.hero.object} the {self.other}, and they went home.",
            f"From that day on, {self.hero.name} and {self.friend.name} were friends.",
            f"That {self.time} {self.hero.name} slept well and dreamed of the {self.goal}.",
            f"And the {self.thing}? It is still {self.spot}, near the {self.goal}.",
        ])  # fmt: skip

    def text(self) -> str:
        """Return the story."""
        middles: list[Callable[[], str]] = [self.trouble, self.speech, self.walk, self.meal]
        order = self._random.permutation(len(middles))[: int(self._random.integers(2, 5))]
        parts = [
            self.opening(),
            *([self.meeting()] if self.chance(0.8) else []),
            *[middles[int(index)]() for index in order],
            self.ending(),
        ]
        return " ".join(parts)


def stories(seed: int) -> Iterator[str]:
    """Yield stories for ever; the same seed gives the same ones."""
    random = seeding.stream(seed, "stories")
    while True:
        yield Story(random).text()
