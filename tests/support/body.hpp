// SPDX-License-Identifier: Apache-2.0

// Named bodies: what a re-executed test binary does in place of its tests. `PORTOLAN_BODY(name) { ... }` at
// namespace scope defines a function of `arguments` that returns the exit code, and
// ChildProcess::execute("name", {...}) runs it, as does `test-binary --portolan-body name ...` by hand.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace portolan::testing {

using BodyArguments = std::span<const char* const>;
using Body = int (*)(BodyArguments arguments);

class BodyRegistration {
 public:
  BodyRegistration(std::string_view name, Body body);
};

// For main: the exit code of the body named on the command line, nullopt if none is.
std::optional<int> run_named_body(int argument_count, const char* const* arguments);

}  // namespace portolan::testing

#define PORTOLAN_BODY(name)                                                             \
  static int portolan_body_##name(::portolan::testing::BodyArguments arguments);        \
  static const ::portolan::testing::BodyRegistration portolan_body_registration_##name( \
      #name, &portolan_body_##name);                                                    \
  static int portolan_body_##name([[maybe_unused]] ::portolan::testing::BodyArguments arguments)
