# Log-likelihoods by survival::coxph and stats::glm; IDI and continuous NRI by Hmisc::improveProb, and
# weighted for censoring by their definition; the area within folds by pROC.
suppressMessages({library(survival); library(Hmisc); library(pROC)})
source("reading.R")

wave <- function(cohort) sin(seq_len(nrow(cohort)))
for (name in c("single", "competing", "tied")) {
  cohort <- get(name)
  cohort$odds <- qlogis(cohort$risk_90)
  cohort$wave <- wave(cohort)
  fit <- coxph(Surv(time, event == 1) ~ odds + wave, cohort, ties = "efron",
               control = coxph.control(eps = 1e-12, toler.chol = 1e-13))
  record(name, "cox_null", NA, fit$loglik[1])
  record(name, "cox", NA, fit$loglik[2])
}
binary$wave <- wave(binary)
control <- glm.control(epsilon = 1e-14, maxit = 100)
smaller <- glm(event ~ first, binomial, binary, control = control)
larger <- glm(event ~ first + second + wave, binomial, binary, control = control)
record("binary", "logistic", NA, as.numeric(logLik(larger)))
test <- anova(smaller, larger, test = "LRT")
record("binary", "statistic", NA, test$Deviance[2])
record("binary", "p_value", NA, test$`Pr(>Chi)`[2])
record("binary", "adequacy", NA,
       (smaller$null.deviance - smaller$deviance) / (larger$null.deviance - larger$deviance))

# A base in restricted cubic splines, as rms::rcs has them, and which tests were done in both models.
for (k in 3:5) {
  terms <- rcspline.eval(binary$first, nk = k, norm = 2)
  for (j in seq_len(ncol(terms)))
    for (row in c(1, 150, 300)) record("binary", paste("spline", k, j, row, sep = "_"), NA, terms[row, j])
}
binary$measured <- as.numeric(seq_len(nrow(binary)) %% 3 != 0)
binary$marker <- binary$second * binary$measured
curved <- function(x) cbind(x, rcspline.eval(x, nk = 4, norm = 2))
smaller <- glm(event ~ curved(first) + measured, binomial, binary, control = control)
larger <- glm(event ~ curved(first) + measured + marker, binomial, binary, control = control)
test <- anova(smaller, larger, test = "LRT")
record("binary", "spline_statistic", NA, test$Deviance[2])
record("binary", "spline_p_value", NA, test$`Pr(>Chi)`[2])
single$odds <- qlogis(single$risk_90)
single$measured <- as.numeric(seq_len(nrow(single)) %% 3 != 0)
single$marker <- wave(single) * single$measured
exact <- coxph.control(eps = 1e-12, toler.chol = 1e-13)
smaller <- coxph(Surv(time, event == 1) ~ curved(odds) + measured, single, control = exact)
larger <- coxph(Surv(time, event == 1) ~ curved(odds) + measured + marker, single, control = exact)
test <- anova(smaller, larger)
record("single", "spline_statistic", NA, test$Chisq[2])
record("single", "spline_p_value", NA, test$`Pr(>|Chi|)`[2])

improved <- improveProb(plogis(binary$first), plogis(binary$second), binary$event)
record("binary", "idi", NA, improved$idi)
record("binary", "nri_continuous", NA, improved$nri)
for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  happened <- had_event(cohort, 90)
  weight <- known_weight(cohort, 90)
  gap <- function(change) weighted.mean(change, weight * happened) -
    weighted.mean(change, weight * (1 - happened))
  change <- cohort$risk_90 - cohort$risk_28
  record(name, "idi", 90, gap(change))
  record(name, "nri_continuous", 90, gap(sign(change - 0.1)))
}

fold <- rep(1:3, length.out = nrow(binary))
areas <- sapply(1:3, function(k) auc(roc(binary$event[fold == k], binary$first[fold == k],
                                         levels = c(0, 1), direction = "<")))
pairs <- sapply(1:3, function(k) prod(table(binary$event[fold == k])))
record("binary", "auroc_within_folds", NA, sum(areas * pairs) / sum(pairs))
write_results("added_value")
