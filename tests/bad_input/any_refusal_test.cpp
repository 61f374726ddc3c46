// SPDX-License-Identifier: Apache-2.0

// Each system call of each thing that the library does, refused with each of its errors: it succeeds all the
// same, or says why not and has changed nothing, and works the next time. PORTOLAN_REFUSE_ALL: no sample;
// PORTOLAN_REFUSE_IN=WORDS: only where these words are in the name.
#include "bad_input/refused_operations.hpp"

#ifdef PORTOLAN_CAN_REFUSE

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <string_view>

#include "ring/random_seed.hpp"

using namespace portolan::testing;

namespace {

std::string words_for(const SystemCall& call, const RefusedCall& refused) {
  return "call " + std::to_string(refused.index) + ", number " + std::to_string(call.number) +
         ", refused with " + ::strerrorname_np(errors_of(call)[refused.error]);
}

// A clear error names a call, and says what to do about it.
bool clear(const std::string& said) {
  return said == "no memory" || (said.find(':') != std::string::npos && said.find(';') != std::string::npos);
}

constexpr std::uint64_t kStride = 23;  // of the sample

// One in so many of the refusals, unless all are wanted.
class Sample {
 public:
  explicit Sample(std::uint64_t seed) : index_(seed % kStride) {}
  bool takes_next() { return all_ || index_++ % kStride == 0; }

 private:
  bool all_ = std::getenv("PORTOLAN_REFUSE_ALL") != nullptr;
  std::uint64_t index_;
};

void refuse_each_call(const RefusedOperation& operation, Sample& sample) {
  INFO(std::string(operation.name));
  const Outcome usual = attempt_with_refusal(operation.body, std::nullopt, std::nullopt);
  REQUIRE(usual.complaint == "");
  std::size_t refused = 0, told = 0;
  for (std::size_t index = 0; index < usual.calls.size(); ++index) {
    const SystemCall& call = usual.calls[index];
    for (std::size_t error = 0; error < errors_of(call).size(); ++error) {
      if (!sample.takes_next()) continue;
      const Outcome outcome = attempt_with_refusal(operation.body, RefusedCall{index, error}, usual.left);
      if (!outcome.refused) continue;
      ++refused;
      told += outcome.told ? 1 : 0;
      INFO(words_for(outcome.calls[index], {index, error}));
      INFO("it says: " << outcome.said);
      CHECK(outcome.complaint == "");
      CHECK((!outcome.told || clear(outcome.said)));
    }
  }
  std::printf("refused in %s: %zu calls, of which it tells %zu\n", operation.name, refused, told);
  std::fflush(stdout);
}

}  // namespace

TEST_CASE("whatever system call is refused, nothing is lost, and the next attempt works" *
          doctest::timeout(3000)) {
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  Sample sample(seed);
  const char* const only = std::getenv("PORTOLAN_REFUSE_IN");
  for (const RefusedOperation& operation : refused_operations())
    if (only == nullptr || std::string_view(operation.name).find(only) != std::string_view::npos)
      refuse_each_call(operation, sample);
}

#endif
