# Fits one regression for competing risks and prints its coefficients and baseline hazards.
# Argument: fine-gray or cause-specific-cox. Standard input: time, event (0, 1, 2), then columns.
suppressMessages(library(survival))
suppressMessages(library(cmprsk))

rows <- read.csv(file("stdin"))
x <- as.matrix(rows[, -(1:2), drop = FALSE])

rows_of <- function(cause, coefficients, time, hazard_jump) {
  rbind(data.frame(cause, part = "coefficient", at = seq_along(coefficients), value = coefficients),
        data.frame(cause, part = "hazard", at = time, value = hazard_jump))
}

fine_gray <- function() {
  fit <- crr(rows$time, rows$event, x, failcode = 1, cencode = 0, variance = FALSE)
  rows_of(1, fit$coef, fit$uftime, fit$bfitj)
}

cause_specific <- function(cause) {
  fit <- coxph(Surv(time, event == cause) ~ x, rows)
  baseline <- basehaz(fit, centered = FALSE)
  rows_of(cause, coef(fit), baseline$time, diff(c(0, baseline$hazard)))
}

fitted <- switch(commandArgs(TRUE)[1],
                 "fine-gray" = fine_gray(),
                 "cause-specific-cox" = rbind(cause_specific(1), cause_specific(2)))
fitted$value <- format(fitted$value, digits = 17)
write.csv(fitted, row.names = FALSE, quote = FALSE)
