// SPDX-License-Identifier: Apache-2.0

// A kernel that refuses one chosen system call of a thing that a forked child does: its parent traces it,
// lets the call not happen, and gives the child an error in its place.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__x86_64__)
#define PORTOLAN_CAN_REFUSE 1

namespace portolan::testing {

// Which call, counted from the attempt's beginning, and which of its errors; their number is errors_of().
struct RefusedCall {
  std::size_t index;
  std::size_t error;
};

struct SystemCall {
  long number;
  std::uint64_t arguments[3];
};

// What the manual pages say that the call may be told where its arguments are right, and where it is not told
// what is untrue: that nobody is there, or nothing.
[[nodiscard]] std::span<const int> errors_of(const SystemCall& call);

// In the child: the part of an operation in which a call is refused.
class Attempt {
 public:
  explicit Attempt(bool traced) : traced_(traced) {}
  // What throws is said in words, and is done again, which has to work.
  void operator()(const std::function<void()>& act);
  [[nodiscard]] bool threw() const { return !said_.empty(); }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  bool traced_;
  std::string said_;
};

// Ends the operation in the child, and fails the test with what it says.
class Complaint : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a process has open, in numbers.
struct Possessions {
  std::size_t descriptors = 0, mappings = 0, children = 0;
  friend bool operator==(const Possessions&, const Possessions&) = default;
};

struct Outcome {
  std::vector<SystemCall> calls;  // all that were made until the end of the attempt
  bool refused = false;           // one of them was
  bool told = false;              // the caller was told
  std::string said;               // in these words
  std::string complaint;          // empty: all was as it should be
  Possessions left;               // after the operation, and the same again without a refusal
};

using OperationBody = std::function<void(Attempt&)>;

// `expected`: what must be left.
[[nodiscard]] Outcome attempt_with_refusal(const OperationBody& operation, std::optional<RefusedCall> refused,
                                           std::optional<Possessions> expected);

}  // namespace portolan::testing

#define REFUSED_HOLDS(...)                                                                             \
  do {                                                                                                 \
    if (!(__VA_ARGS__))                                                                                \
      throw ::portolan::testing::Complaint(std::to_string(__LINE__) + std::string(": " #__VA_ARGS__)); \
  } while (false)

#endif
