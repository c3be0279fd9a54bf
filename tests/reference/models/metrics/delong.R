# DeLong's interval and paired test by pROC.
suppressMessages(library(pROC))
source("reading.R")

curve <- function(risk) roc(binary$event, risk, levels = c(0, 1), direction = "<")
first <- curve(binary$first)
second <- curve(binary$second)
for (name in c("first", "second")) {
  interval <- ci.auc(get(name), method = "delong")
  record("binary", paste0(name, c("_low", "", "_high")), NA, as.numeric(interval))
  record("binary", paste0(name, "_variance"), NA, var(get(name), method = "delong"))
}
test <- roc.test(first, second, method = "delong", paired = TRUE)
record("binary", "covariance", NA, cov(first, second, method = "delong"))
record("binary", "difference_low", NA, test$conf.int[1])
record("binary", "difference_high", NA, test$conf.int[2])
record("binary", "p_value", NA, test$p.value)
write_results("delong")
