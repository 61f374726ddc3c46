// SPDX-License-Identifier: Apache-2.0

// The main function of every test executable: doctest with a watchdog on each case, or one named body.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cmath>
#include <doctest/doctest.h>
#include <optional>

#include "support/body.hpp"
#include "support/watchdog.hpp"

#ifdef NDEBUG
#error "the tests mean their assertions"
#endif

namespace {

struct WatchEveryCase : doctest::IReporter {
  explicit WatchEveryCase(const doctest::ContextOptions&) {}

  void test_case_start(const doctest::TestCaseData& test_case) override {
    const double seconds = test_case.m_timeout;
    watchdog_.emplace(test_case.m_name, seconds > 0 ? static_cast<unsigned>(std::ceil(seconds))
                                                    : portolan::testing::kTestCaseSeconds);
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override { watchdog_.reset(); }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
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
  return doctest::Context(argument_count, arguments).run();
}
