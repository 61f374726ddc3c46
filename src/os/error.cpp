// SPDX-License-Identifier: Apache-2.0

// The exceptions' constructors, and their destructors: the type information that catching across a shared
// library needs lives where the first virtual function is defined.
#include <portolan/error.hpp>

namespace portolan {
inline namespace v1 {

DataCloneError::DataCloneError(const std::string& message) : std::runtime_error(message) {}
DataCloneError::~DataCloneError() = default;

QueueFullError::QueueFullError(const std::string& message) : std::runtime_error(message) {}
QueueFullError::~QueueFullError() = default;

InvalidStateError::InvalidStateError(const std::string& message) : std::runtime_error(message) {}
InvalidStateError::~InvalidStateError() = default;

PortError::PortError(std::error_code code, const std::string& message)
    : std::system_error(code), message_(message) {}
PortError::~PortError() = default;

const char* PortError::what() const noexcept {
  return message_.what();
}

}  // namespace v1
}  // namespace portolan
