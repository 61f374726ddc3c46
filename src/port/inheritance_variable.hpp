// SPDX-License-Identifier: Apache-2.0

// Where a program finds the ports that it was started with; wire/endpoint_text.hpp says how.
#pragma once

namespace portolan::port {

inline constexpr char kInheritanceVariable[] = "PORTOLAN_PORTS";
inline constexpr char kParentName[] = "parent";

// Takes the variable out of the environment and the descriptors out of what this process's programs inherit,
// once. What is wrong with them is told by parent_port() and inherited_ports().
void claim_inheritance();

}  // namespace portolan::port
