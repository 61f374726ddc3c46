// SPDX-License-Identifier: Apache-2.0

#include "cpu.hpp"

#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>

namespace bench {

std::string machine() {
  std::string model = "unknown processor";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  utsname system;
  uname(&system);
  return model + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " CPUs, Linux " + system.release;
}

}  // namespace bench
