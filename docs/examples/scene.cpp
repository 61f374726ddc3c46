// SPDX-License-Identifier: Apache-2.0

// A value whose shape is known only at run time, as a program in another language would send it: a scene to
// draw, and the port to answer on.
#include <cstdio>
#include <string>
#include <utility>

#include <portolan/port.hpp>
#include <portolan/value.hpp>

using portolan::Value;

static bool draw(const std::string& scene, int line) {
  std::printf("line %d of the %s\n", line, scene.c_str());
  return scene == "harbour" && line == 10;
}

int main() {
  auto [port, painter] = portolan::MessageChannel();
  auto [answers, reply] = portolan::MessageChannel();
  port.post_message(
      Value::map({{"scene", "harbour"}, {"lines", Value::array(10, 20)}, {"reply", std::move(reply)}}));

  portolan::Received message = painter.receive();
  Value job = message->data<Value>();
  const bool right = draw(job.at("scene").as_string(), job.at("lines").at(0).as_integer<int>());
  job.at("reply").as_port().post_message("done");

  return right && answers.receive()->text() == "done" ? 0 : 1;
}
