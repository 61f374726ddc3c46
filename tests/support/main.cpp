// SPDX-License-Identifier: Apache-2.0

// The main function of every test executable: doctest with a watchdog on each case, or one named body.
#define DOCTEST_CONFIG_IMPLEMENT
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <optional>

#include "support/body.hpp"
#include "support/watchdog.hpp"

#ifdef NDEBUG
#error "the tests mean their assertions"
#endif

namespace {

unsigned seconds_of(const doctest::TestCaseData& test_case) {
  const double own = test_case.m_timeout;
  const unsigned seconds =
      own > 0 ? static_cast<unsigned>(std::ceil(own)) : portolan::testing::kTestCaseSeconds;
  const char* const wished = std::getenv("PORTOLAN_CASE_SECONDS");
  return wished != nullptr ? std::min(seconds, static_cast<unsigned>(std::atoi(wished))) : seconds;
}

struct WatchEveryCase : doctest::IReporter {
  explicit WatchEveryCase(const doctest::ContextOptions&) {}

  void test_case_start(const doctest::TestCaseData& test_case) override {
    watchdog_.emplace(test_case.m_name, seconds_of(test_case));
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override { watchdog_.reset(); }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& passed) override {
    portolan::testing::Watchdog::passes(passed.m_file, passed.m_line);
  }
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  std::optional<portolan::testing::Watchdog> watchdog_;
};

REGISTER_LISTENER("watch every case", 1, WatchEveryCase);

}  // namespace

int main(int argument_count, char** arguments) {
  if (const std::optional<int> code = portolan::testing::run_named_body(argument_count, arguments)) {
    return *code;
  }
  // Whoever is ended by a watchdog or a kill flushes nothing, and what failed before says more than the hang.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  return doctest::Context(argument_count, arguments).run();
}
