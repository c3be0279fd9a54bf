"""What laboratories and spreadsheets call the catalogue's variables, for `osteon map` to recognise.

A word that may be several variables lists them all: the header's unit or specimen settles which, or
the draft leaves it blank and says why. Words are compared without case, spaces and signs, and every
variable is also known by its name and its label.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["AMBIGUOUS", "SYNONYMS"]

_FGF23 = ("fgf23_c", "fgf23_i", "fgf23_i_units")
_BSAP = ("bsap_mass", "bsap_act")
_RANKL_FREE = ("rankl_free", "rankl_free_mass")
_RANKL_TOTAL = ("rankl_total", "rankl_total_mass")
_OPN = ("osteopontin", "osteopontin_serum")
_NTX = ("ntx_s", "ntx_u_cr", "ntx_u")
_PYD = ("pyd_u_cr", "pyd_u")
_DPD = ("dpd_u_cr", "dpd_u")
_HYP = ("hyp_u_cr", "hyp_u", "hyp_u_24h")
_BMD = ("bmd_fn", "bmd_hip", "bmd_ls")
_T_SCORE = ("t_fn", "t_hip", "t_ls")

SYNONYMS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("ctx_s",): ("ctx", "ctx-i", "s-ctx", "beta-ctx", "b-ctx", "crosslaps", "beta-crosslaps"),
    _NTX: ("ntx", "ntx-i"),
    _NTX[1:]: ("urinary ntx", "u-ntx"),
    ("ntx_u_cr",): ("ntx/cr", "ntx/creatinine", "ntx/crea"),
    _PYD: ("pyd", "pyridinoline"),
    _DPD: ("dpd", "deoxypyridinoline"),
    _HYP: ("hydroxyproline", "hyp"),
    ("trap5b",): ("trap5b", "trap-5b", "tracp5b", "tracp-5b"),
    ("trap5b", "trap_total"): ("trap", "tracp"),
    _BSAP: ("bsap", "balp", "bap", "bone alp", "bone alkaline phosphatase", "bone-specific alp"),
    ("alkaline_phosphatase",): ("alp", "alkaline phosphatase", "alk phos", "ap gesamt"),
    ("osteocalcin",): ("oc", "bgp", "n-mid osteocalcin"),
    ("p1np",): ("pinp", "procollagen i n-propeptide"),
    ("p1cp",): ("picp", "procollagen i c-propeptide"),
    (*_RANKL_FREE, *_RANKL_TOTAL): ("rankl", "srankl", "trance"),
    _RANKL_FREE: ("free rankl", "rankl free", "free srankl"),
    _RANKL_TOTAL: ("total rankl", "rankl total", "total srankl"),
    ("opg", "opg_mass"): ("opg", "osteoprotegerin"),
    ("rankl_opg_ratio",): ("rankl/opg",),
    ("mcsf",): ("m-csf", "csf-1"),
    ("sclerostin", "sclerostin_mass"): ("sclerostin", "sost"),
    ("dkk1", "dkk1_mass"): ("dkk1", "dkk-1", "dickkopf-1"),
    ("estradiol",): ("e2", "oestradiol", "17-beta-estradiol", "estradiol 17b"),
    ("testosterone",): ("testosterone", "total testosterone"),
    ("igf1",): ("igf-i", "insulin-like growth factor 1"),
    ("tgf_beta1",): ("tgf-beta", "tgfb", "tgfb1", "tgf-b1"),
    ("cortisol",): ("cortisol", "total cortisol"),
    _FGF23: ("fgf23", "fibroblast growth factor 23"),
    ("fgf23_c",): ("cfgf23", "fgf23 c-term", "fgf23 c-terminal", "c-terminal fgf23", "fgf23 c"),
    ("fgf23_i", "fgf23_i_units"): ("ifgf23", "intact fgf23", "fgf23 intact"),
    ("phosphate",): ("phos", "po4", "inorganic phosphate", "phosphorus", "phosphat"),
    ("calcium",): ("ca total", "total calcium", "serum calcium", "kalzium"),
    ("calcium_ion",): ("ica", "ionized calcium", "ionised calcium", "ca ionized"),
    ("calcium", "calcium_ion"): ("ca",),
    ("magnesium",): ("mg", "magnesium"),
    ("pth",): ("ipth", "intact pth", "parathyroid hormone"),
    ("vitd25",): ("25-oh d", "25ohd", "25-oh vitamin d", "25-hydroxyvitamin d", "calcidiol"),
    ("vitd25", ""): ("25-oh-d3", "25ohd3", "25-hydroxyvitamin d3", "25-oh vitamin d3"),
    ("vitd125",): ("1,25-oh2 d", "1,25(oh)2d", "calcitriol", "1,25-dihydroxyvitamin d"),
    ("vitd25", "vitd125"): ("vitamin d", "vit d", "vitd"),
    _OPN: ("opn", "osteopontin", "spp1"),
    ("crp",): ("c-reactive protein", "hs-crp", "hscrp"),
    ("il1b",): ("il-1b", "il-1 beta", "interleukin 1b"),
    ("il6",): ("il-6", "interleukin 6"),
    ("ifn_gamma", "ifn_type1"): ("interferon", "ifn"),
    ("ifn_gamma",): ("ifn-g", "ifng"),
    ("tnfa",): ("tnf", "tnf-a", "tumor necrosis factor"),
    ("angiotensin2",): ("ang ii", "ang2", "angiotensin 2"),
    _BMD: ("bmd", "bone mineral density", "femur bmd"),
    ("bmd_fn",): ("bmd femur neck", "bmd neck", "femoral neck bmd", "fn bmd"),
    ("bmd_hip",): ("bmd femur total", "total hip bmd", "hip bmd", "bmd total hip"),
    ("bmd_ls",): ("bmd spine", "bmd spine total", "lumbar spine bmd", "spine bmd"),
    _T_SCORE: ("t-score", "tscore"),
    ("t_fn",): ("t-score neck", "t-score femoral neck", "femoral neck t-score", "t score nk"),
    ("t_hip",): ("t-score hip", "t-score total hip", "hip t-score"),
    ("t_ls",): ("t-score spine", "t-score lumbar spine", "spine t-score"),
    ("l1_hu",): ("l1 hu", "hu l1", "l1 attenuation"),
    ("prior_fracture",): ("priorfrac", "previous fracture", "fracture history", "prior fx"),
    ("apache2",): ("apache ii", "apacheii", "apache 2"),
    ("apache2", "apache3_aps"): ("apache", "aps"),
    ("saps2",): ("saps ii", "sapsii", "saps 2"),
    ("saps1", "saps2"): ("saps",),
    ("sofa",): ("sofa score", "sofa total"),
    ("gcs",): ("glasgow coma scale",),
    ("map",): ("meanbp", "mean bp", "mean arterial pressure", "mbp"),
    ("systolic_pressure",): ("sbp", "sysbp", "systolic bp"),
    ("diastolic_pressure",): ("dbp", "diabp", "diastolic bp"),
    ("heart_rate",): ("hr", "hrt", "pulse"),
    ("respiratory_rate",): ("rr", "resp rate", "resprate"),
    ("temperature",): ("temp", "body temp"),
    ("spo2",): ("sao2", "o2 sat"),
    ("pf_ratio",): ("pafi", "p/f", "p/f ratio", "pao2/fio2", "horowitz"),
    ("ph",): ("arterial ph", "blood ph"),
    ("lactate",): ("lac", "lactic acid", "laktat"),
    ("creatinine",): ("crea", "creat", "scr", "kreatinin"),
    ("egfr",): ("gfr",),
    ("aki_stage",): ("aki", "kdigo", "kdigo stage"),
    ("rrt",): ("crrt", "dialysis", "renal replacement"),
    ("urine_output",): ("urine", "diuresis", "urine output"),
    ("urea_nitrogen",): ("bun", "blood urea nitrogen"),
    ("urea_nitrogen", ""): ("urea", "harnstoff"),
    ("bilirubin",): ("bili", "tbil", "total bilirubin"),
    ("alt",): ("alat", "sgpt", "gpt"),
    ("ast",): ("asat", "sgot", "got"),
    ("albumin",): ("alb", "albumine"),
    ("platelets",): ("plt", "thrombocytes", "platelet count", "thrombozyten"),
    ("white_cells",): ("wbc", "wblc", "leukocytes", "leucocytes", "leukozyten"),
    ("hemoglobin",): ("hb", "hgb", "haemoglobin", "hemoglobine"),
    ("hematocrit",): ("hct", "haematocrit"),
    ("glucose",): ("blood glucose", "glu", "glukose"),
    ("sodium",): ("na", "sod", "natrium"),
    ("potassium",): ("k", "pot", "kalium"),
    ("bicarbonate",): ("hco3", "bicarb"),
    ("cholesterol",): ("chol", "total cholesterol"),
    ("vent_days",): ("ventilation days", "days ventilated"),
    ("mechanical_ventilation",): ("ventilated", "mv", "mech vent"),
    ("catecholamines",): ("vasopressor", "vasopressors"),
    ("corticosteroid",): ("steroid", "steroids", "corticosteroids", "prednisone"),
    ("age",): ("age years", "age at admission", "alter"),
    ("sex",): ("gender", "geschlecht"),
    ("menopausal_status",): ("menopause", "menopausal"),
    ("pregnant",): ("pregnancy",),
    ("bmi",): ("body mass index",),
    ("weight",): ("body weight", "wt", "gewicht"),
    ("height",): ("body height", "ht", "stature"),
    ("ckd",): ("chronic kidney disease",),
    ("smoking",): ("smoker", "smoke", "current smoker"),
    ("diabetes",): ("dm", "diabetes mellitus"),
    ("comorbidity_index",): ("charlson", "cci"),
    ("parental_hip_fracture",): ("momfrac", "mother hip fracture", "parental fracture"),
}
"""Variables that words may mean -> those words; "" among them is what the catalogue has not."""

AMBIGUOUS: Mapping[frozenset[str], str] = {
    frozenset(_FGF23): "C-terminal and intact FGF23 are two variables: which fragment?",
    frozenset(
        _BSAP
    ): "bone ALP by mass (ug/L) and by activity (U/L) are two variables: which unit?",
    frozenset((*_RANKL_FREE, *_RANKL_TOTAL)): "free and total RANKL are two variables: which?",
    frozenset(_OPN): "plasma and serum osteopontin are two variables: which specimen?",
    frozenset(("vitd25", "")): "D3 alone is not total 25-OH vitamin D, which is D2 and D3: which?",
    frozenset(("urea_nitrogen", "")): "urea in mg/dL is 2.14 times urea nitrogen (BUN); in mmol/L "
    "they are one: which?",
    frozenset(("calcium", "calcium_ion")): "total and ionised calcium are two variables: which?",
    frozenset(_BMD): "BMD is one variable per site: femoral neck, total hip or lumbar spine?",
    frozenset(_T_SCORE): "a T-score is one variable per site: femoral neck, hip or lumbar spine?",
}
"""Variables that a header leaves open -> what must be known to choose."""
