// SPDX-License-Identifier: Apache-2.0

#include <string>

#include <portolan/codec.hpp>
#include <portolan/error.hpp>

namespace portolan {
inline namespace v1 {

void require_end(const Source& source) {
  if (source.left() != 0) {
    throw DataCloneError("value: " + std::to_string(source.left()) +
                         " bytes more than the type that it is read as");
  }
}

namespace {

std::string describe_number(std::byte kind) {
  static constexpr const char* kClasses[] = {"boolean", "signed integer", "unsigned integer",
                                             "floating point", "character"};
  const unsigned number_class = std::to_integer<unsigned>(kind) >> 4;
  const unsigned width_log = std::to_integer<unsigned>(kind) & 0xF;
  if (number_class == 0 || number_class > std::size(kClasses) || width_log > 4) return "no known number";
  return std::string(kClasses[number_class - 1]) + " of " + std::to_string(8U << width_log) + " bits";
}

}  // namespace

void require_number_kind(Source& source, std::byte wanted) {
  const std::byte found = *source.take(1);
  if (found != wanted) {
    throw DataCloneError("value: the message holds a number (" + describe_number(found) +
                         "), read as another (" + describe_number(wanted) + ")");
  }
}

void refuse_current_exception() {
  try {
    throw;
  } catch (const DataCloneError&) {
    throw;
  } catch (const std::exception& exception) {
    throw DataCloneError(std::string("value: ") + exception.what());
  }
}

}  // namespace v1
}  // namespace portolan
