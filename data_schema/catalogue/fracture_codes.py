"""Which diagnosis codes record a new fracture, and which an old one: ICD-10, ICD-9-CM, SNOMED CT.

The outcome is the first *new* fracture after time zero. A code counts where its published list
counts it as one; codes of healing, malunion, late effects and history never do. In ICD-9-CM nothing
in a code distinguishes a new fracture from its follow-up, so a fracture before time zero that is
coded again afterwards looks new: leave such patients out, or require a period without codes.

Sources
-------
ICD-10-CM
    HCUP Clinical Classifications Software Refined for ICD-10-CM diagnoses (AHRQ): fractures at the
    initial encounter (INJ001-INJ006), pathological fractures (MUS013 and MUS014, codes of a current
    fracture only), stress fractures (MUS016) and atypical femoral fractures (M84.75); at later
    encounters INJ038-INJ043, MUS015 and MUS017; sequelae INJ073. Teeth (S02.5) are dental there.
    The seventh character is read as in the ICD-10-CM Official Guidelines, section I.C.19.a.
ICD-10 (WHO, without a seventh character)
    OpenSAFELY code list `opensafely/fractures`, and M48.4, M48.5, M80 and M84.4 (fractures by their
    titles). WHO codes late effects apart, at T91-T93.
ICD-9-CM
    Chapter "Fractures (800-829)", as the Manitoba Centre for Health Policy takes it; pathological
    and stress fractures from HCUP CCS 207. HCUP CCS 226 and 228-231 also hold aftercare (V54) and
    late effects (905), which are not new fractures.
SNOMED CT
    `125605004` Fracture of bone and descendants of the NHS England refset FF_COD and of the code
    set "Fracture" of the University of Manchester (gm-sde); an excerpt, since a whole hierarchy
    needs a terminology server and a licence. `names_a_fracture` detects the codes outside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = [
    "INCIDENT_KINDS",
    "CodeSystem",
    "FractureKind",
    "fracture_kind",
    "is_incident_fracture",
    "names_a_fracture",
    "unlisted_fracture",
]

CodeSystem = Literal["icd10", "icd9", "snomed"]

FractureKind = Literal[
    "closed",
    "open",
    "unspecified",
    "pathological",
    "neoplastic",
    "stress",
    "periprosthetic",
    "resuscitation",
    "subsequent",
    "sequela",
    "history",
]
"""What a code says of a fracture; "unspecified" leaves open whether the skin was broken."""

INCIDENT_KINDS: frozenset[FractureKind] = frozenset(
    {
        "closed",
        "open",
        "unspecified",
        "pathological",
        "neoplastic",
        "stress",
        "periprosthetic",
        "resuscitation",
    }
)
"""Kinds that the published lists count as a new fracture. A study of fragility fractures also
leaves out "neoplastic" and "resuscitation"."""

# Chapter 19 of ICD-10-CM: sites, then the seventh character.
_SITES = r"S(?:02[0-46-9]|[1-9]2\d|49[01]|59[012]|79[01]|89[0-3]|99[0-2])"
_ICD_10: tuple[tuple[str, FractureKind], ...] = (
    # ICD-10-CM: seven characters, the last of which is the encounter.
    (_SITES + r"\w{2}A", "closed"),
    (_SITES + r"\w{2}[BC]", "open"),
    (_SITES + r"\w{2}[DEFGHJKMNPQR]", "subsequent"),
    (_SITES + r"\w{2}S", "sequela"),
    (r"M845\w{2}A", "neoplastic"),
    (r"(?:M80\w|M484|M485|M844|M846|M847)\w{2}A", "pathological"),
    (r"M843\w{2}A", "stress"),
    (r"M97\w{3}A|T8404\dA", "periprosthetic"),
    (r"(?:M80\w|M484|M485|M84[3-7]|M97\w)\w{2}[DGKP]|T8404\dD", "subsequent"),
    (r"(?:M80\w|M484|M485|M84[3-7]|M97\w)\w{2}S|T8404\dS", "sequela"),
    (r"M96A\d?", "resuscitation"),
    (r"Z8731\d?|Z8781", "history"),
    # ICD-10 of the WHO and its national editions without an encounter. The fifth character is
    # 0 closed or 1 open where it is used (S72.01).
    (r"S(?:02[0-46-9]|[1-9]2\d)1", "open"),
    (r"S(?:02[0-46-9]|[1-9]2\d)0", "closed"),
    (r"S[0-9]2|S(?:02[0-46-9]|[1-9]2\d)|T02\d?|T08|T10|T12|T142", "unspecified"),
    (r"(?:T08|T10|T12)0", "closed"),
    (r"(?:T08|T10|T12)1", "open"),
    (r"M843\d?", "stress"),
    (r"M80|M80\d\d?|M48[45]\d?|M844\d?", "pathological"),
    (r"T9[01]2|T911|T921|T922|T931|T932", "sequela"),
)
_ICD_9: tuple[tuple[str, FractureKind], ...] = (
    (r"8[012]\d\d{0,2}", "unspecified"),
    (r"7331\d?", "pathological"),
    (r"7339[3-8]", "stress"),
    (r"99644", "periprosthetic"),
    (r"7338[12]", "subsequent"),
    (r"905[0-5]", "sequela"),
    (r"V541\d|V542\d|V664|V674", "subsequent"),
    (r"V1351|V1352", "history"),
)
_SNOMED_CODES: Mapping[FractureKind, tuple[str, ...]] = {
    "unspecified": (
        # Whole skeleton, head and trunk.
        *("125605004", "134291007", "71642004", "24063002", "48466003", "27477003", "263172003"),
        *("263171005", "50448004", "1734006", "15724005", "125606003", "125607007", "125608002"),
        *("125871005", "207983003", "207984009", "207985005", "208215006", "269061001"),
        *("274157009", "274158004", "33737001", "1261007", "78516000", "263256004", "77493009"),
        *("64455005", "36127009", "7687006", "263222005", "207986006", "207993005"),
        # Arm.
        *("23406007", "58150001", "9682006", "16250001000004107", "66308002", "127286005"),
        *("50890004", "263192005", "65966004", "12676007", "54556006", "75857000", "263195007"),
        *("263198009", "263199001", "263204007", "263207000", "263208005", "20511007"),
        *("208388003", "82065001", "31975004", "208393000", "18171007", "405817008"),
        *("263102004", "45678008"),
        # Leg.
        *("46866001", "71620000", "5913000", "263225007", "263229001", "54441004", "263232003"),
        *("51037009", "414292006", "414293001", "6990005", "20433007", "278537006", "75591007"),
        *("16114001", "281535004", "263244000", "263245004", "263246003", "263247007"),
        *("263251009", "21351003", "32805004"),
    ),
    "closed": (
        *("423125000", "42157000", "269062008", "207938004", "207957008", "207974008", "60667009"),
        *("45356009", "12204004", "66112004", "91037003", "33118001", "208164008", "33173003"),
        *("29749002", "43295006", "42636007", "90235006", "269080004", "111640008", "71555008"),
        *("53627009", "91419009", "17222009", "269083002", "9468002", "208394006", "24424003"),
        *("25415003", "359817006", "359820003", "1705000", "89820008", "26442006", "263233008"),
        *("80756009", "413876003", "447139008", "28012007", "447395005", "42188001", "34268009"),
        *("15385006", "25899002", "6698000", "64665009", "447138000", "36924003", "81576005"),
        *("207939007", "207940009", "207958003", "207959006", "275338001", "311814002"),
    ),
    "open": (
        *("397181002", "82419009", "269070003", "207949005", "207965006", "371161001"),
        *("111609001", "45910007", "28081005", "87225004", "77598002", "71220005", "111637008"),
        *("47864008", "89294002", "86844009", "23741005", "269081000", "81966000", "37449000"),
        *("91296001", "25529004", "80411001", "29014003", "1370007", "21698002", "28576007"),
        *("361119006", "26938002", "6628008", "263234002", "111643005", "446979005", "22234005"),
        *("48187004", "4673003", "54530004", "26908008", "90338005", "24948002", "77551005"),
        *("74395007", "41191003"),
    ),
    "pathological": (
        *("306171000000106", "443165006", "268029009", "203444008", "203445009", "203446005"),
        *("203447001", "203448006", "203450003", "203451004", "203452006", "203453001"),
        *("240198002", "270507001", "270508006", "308145001", "84138006", "308756007"),
        *("308757003", "308758008", "311806008", "311890007", "311891006"),
    ),
    "neoplastic": ("203449003",),
    "stress": ("240197007", "202831001", "263253007"),
    "subsequent": ("302941001", "203499004", "203500008", "425852005", "203502000", "203503005"),
    "sequela": ("210958007", "210967007", "36758002"),
    "history": ("391094005",),
}
_SNOMED: Mapping[str, FractureKind] = MappingProxyType(
    {code: kind for kind, codes in _SNOMED_CODES.items() for code in codes}
)

_NAMES_A_FRACTURE = re.compile(r"\bfractures?\b|\bfracturing\b|collapse of .*vertebra", re.I)
_NAMES_NO_EVENT = re.compile(
    r"without (?:current )?(?:pathological )?fracture|\brisk\b|history|\bh/o\b|\bold\b"
    r"|healed|sequela|late effect|malunion|non-?union|delayed union|screening|suspected|\bcare\b"
    r"|subsequent encounter|restorative|penis|tooth|birth|insertion|family|\(procedure\)"
    r"|fear of|prevention",
    re.I,
)


def fracture_kind(system: CodeSystem, code: str) -> FractureKind | None:
    """Return what a diagnosis code says of a fracture; None if it is no code of a fracture.

    Parameters
    ----------
    system : {"icd10", "icd9", "snomed"}
        `icd10` is ICD-10-CM as well as the WHO's ICD-10, which differ in length.
    code : str
        With or without the point, in either case.

    Examples
    --------
    >>> fracture_kind("icd10", "S72.001A"), fracture_kind("icd10", "S72.001D")
    ('closed', 'subsequent')
    >>> fracture_kind("icd10", "M80.08XA"), fracture_kind("icd10", "M81.0")
    ('pathological', None)
    >>> fracture_kind("icd9", "820.8"), fracture_kind("icd9", "905.3")
    ('unspecified', 'sequela')
    >>> fracture_kind("snomed", "5913000")
    'unspecified'
    """
    plain = code.strip().upper().replace(".", "")
    if system == "snomed":
        return _SNOMED.get(plain)
    patterns = _ICD_10 if system == "icd10" else _ICD_9
    return next((kind for pattern, kind in patterns if re.fullmatch(pattern, plain)), None)


def is_incident_fracture(system: CodeSystem, code: str) -> bool:
    """Return whether a diagnosis code records a new fracture.

    >>> is_incident_fracture("icd10", "S42291D"), is_incident_fracture("icd10", "Z87.310")
    (False, False)
    >>> is_incident_fracture("icd9", "73313"), is_incident_fracture("icd9", "V5413")
    (True, False)
    """
    return fracture_kind(system, code) in INCIDENT_KINDS


def names_a_fracture(text: str) -> bool:
    """Return whether the words of a diagnosis name a fracture that may be new.

    >>> names_a_fracture("Closed fracture of hip"), names_a_fracture("History of fracture")
    (True, False)
    """
    return bool(_NAMES_A_FRACTURE.search(text)) and not _NAMES_NO_EVENT.search(text)


def unlisted_fracture(system: CodeSystem, code: str, text: str) -> bool:
    """Return whether a diagnosis names a new fracture with a code that no list here holds.

    A source counts such codes and reports them, so that a missing code never lowers the number of
    events silently.

    >>> unlisted_fracture("snomed", "1", "Fracture of bone X")
    True
    >>> unlisted_fracture("snomed", "125605004", "Fracture of bone")
    False
    """
    return fracture_kind(system, code) is None and names_a_fracture(text)
