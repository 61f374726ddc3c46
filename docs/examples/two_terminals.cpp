// SPDX-License-Identifier: Apache-2.0

// Two programs that know nothing of each other but an address. In one terminal:  two_terminals listen ADDRESS
// In another one, before or after:  two_terminals connect ADDRESS WORDS...
// ADDRESS is unix:PATH, or a name such as org.example.echo where portoland runs. Without arguments it plays
// both.
#include <cstdio>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

static void listen(const std::string& address) {
  portolan::Listener listener(address);
  portolan::ConnectEvent visitor = listener.accept();
  std::printf("uid %u, pid %u has come\n", visitor.peer().uid, visitor.peer().pid);
  while (portolan::Received words = visitor.port().receive())
    visitor.port().post_message("you said: " + std::string(words->text()));
}

static void connect(const std::string& address, const std::vector<std::string>& words) {
  portolan::MessagePort port = portolan::connect(address);  // waits for the listener
  for (const std::string& each : words) {
    port.post_message(each);
    std::printf("%s\n", std::string(port.receive()->text()).c_str());
  }
}

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "listen") return listen(arguments[1]), 0;
  if (arguments.size() >= 2 && arguments[0] == "connect")
    return connect(arguments[1], {arguments.begin() + 2, arguments.end()}), 0;

  const std::string address = "unix:/tmp/two_terminals." + std::to_string(::getpid());
  portolan::Worker other("/proc/self/exe", {"listen", address});
  connect(address, {"hello", "goodbye"});
  return other.wait().code;
}
