# Simulates the small cohorts that the other scripts read. Run: Rscript simulate.R
set.seed(20261122)
n <- 300
days <- c(10, 20, 28, 45, 60, 90, 120, 180)
x <- rnorm(n)
rate <- exp(0.8 * x) / 150
other <- 1 / 400
first <- rexp(n, rate)
second <- rexp(n, other)
lost <- runif(n, 20, 400)

# Risks that are too extreme, so that calibration is not perfect, and rounded, so that some are equal.
distort <- function(risk) round(plogis(0.2 + 1.2 * qlogis(risk)), 2) * 0.98 + 0.01
curve <- function(risk_at) {
  risk <- sapply(days, function(day) distort(risk_at(day)))
  colnames(risk) <- paste0("risk_", days)
  risk
}

# Times to 4 digits are all different. One event, and one event with a competing one.
time <- round(pmin(first, lost), 4)
single <- data.frame(time = time, event = as.integer(first <= lost))
single <- cbind(single, curve(function(day) 1 - exp(-rate * day)))

time <- round(pmin(first, second, lost), 4)
event <- ifelse(pmin(first, second) > lost, 0, ifelse(first < second, 1, 2))
both <- rate + other
competing <- data.frame(time = time, event = event)
competing <- cbind(competing, curve(function(day) rate / both * (1 - exp(-both * day))))
stopifnot(!anyDuplicated(single$time), !anyDuplicated(competing$time))

# Whole days with many ties between events, competing events and censorings.
tied <- competing
tied$time <- pmax(1, round(competing$time / 10))

# Every outcome known, two models.
binary <- data.frame(first = round(x, 1), second = round(0.6 * x + rnorm(n), 1))
binary$event <- rbinom(n, 1, plogis(-0.5 + x))

for (name in c("single", "competing", "tied", "binary"))
  write.csv(get(name), file.path("data", paste0(name, ".csv")), row.names = FALSE)
