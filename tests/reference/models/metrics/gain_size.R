# Variance of a paired gain of the AUC: by integration, and by pROC on simulated patients.
suppressMessages(library(pROC))
source("reading.R")

set.seed(20261130)
patients <- 50000
designs <- data.frame(base = c(0.75, 0.80, 0.70), gain = c(0.03, 0.05, 0.10),
                      rate = c(0.25, 0.10, 0.50))
for (row in seq_len(nrow(designs))) {
  design <- designs[row, ]
  name <- paste(design$base, design$gain, design$rate, sep = "_")
  d0 <- sqrt(2) * qnorm(design$base)
  d1 <- sqrt(2) * qnorm(design$base + design$gain)
  rho <- d0 / d1
  # Placements of one patient with the event: their moments, by integration over the first score.
  mean_square <- function(d) integrate(function(x) pnorm(x)^2 * dnorm(x - d), -Inf, Inf)$value
  product <- integrate(function(x) pnorm(x) * pnorm((d1 + rho * (x - d0)) / sqrt(2 - rho^2)) *
                         dnorm(x - d0), -Inf, Inf)$value
  of_one <- mean_square(d0) - design$base^2 + mean_square(d1) - (design$base + design$gain)^2 -
    2 * (product - design$base * (design$base + design$gain))
  record(name, "variance_by_integration", NA,
         of_one * (1 / design$rate + 1 / (1 - design$rate)))
  # The markers correlate with the base by 0.5 in patients of the same outcome.
  event <- rep(c(0, 1), round(patients * c(1 - design$rate, design$rate)))
  base <- rnorm(patients)
  marker <- 0.5 * base + sqrt(0.75) * rnorm(patients)
  base <- base + d0 * event
  # With D2 = (d0^2 - 2 r d0 m + m^2) / (1 - r^2) = d1^2, the distance of the marker is m.
  m <- 0.5 * d0 + sqrt(0.75 * (d1^2 - d0^2))
  marker <- marker + m * event
  with_marker <- (d0 - 0.5 * m) / 0.75 * base + (m - 0.5 * d0) / 0.75 * marker
  without <- roc(event, base, levels = c(0, 1), direction = "<")
  extended <- roc(event, with_marker, levels = c(0, 1), direction = "<")
  record(name, "auc_without", NA, as.numeric(auc(without)))
  record(name, "auc_with", NA, as.numeric(auc(extended)))
  record(name, "variance_by_proc", NA, patients * (var(without, method = "delong") +
    var(extended, method = "delong") - 2 * cov(without, extended, method = "delong")))
}
write_results("gain_size")
