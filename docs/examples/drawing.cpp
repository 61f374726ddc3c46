// SPDX-License-Identifier: Apache-2.0

// A drawing goes to a process that measures it: shapes behind pointers to their base, one of them in two
// places. What is no drawing is told apart by its name.
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <portolan/portolan.hpp>

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};

struct Circle : Shape {
  double radius = 0;
  explicit Circle(double wanted = 0) : radius(wanted) {}
  double area() const override { return 3.14 * radius * radius; }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& radius;
  }
};

struct Rectangle : Shape {
  double width = 0, height = 0;
  explicit Rectangle(double w = 0, double h = 0) : width(w), height(h) {}
  double area() const override { return width * height; }
  template <class Archive>
  void serialize(Archive& archive, unsigned version) {
    archive& width;
    if (version >= 1)
      archive& height;
    else
      height = width;  // release 0 had squares only
  }
};
BOOST_CLASS_VERSION(Rectangle, 1)

template <>
struct portolan::derived_of<Shape> : portolan::types<Circle, Rectangle> {};

struct Drawing {
  std::vector<std::shared_ptr<Shape>> shapes;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& shapes;
  }
};
template <>
inline constexpr std::string_view portolan::type_name<Drawing> = "org.example.Drawing";

static void measure() {
  portolan::MessagePort port = portolan::parent_port();
  port.on_message_error([&](portolan::MessageEvent& event) { port.post_message(event.what()); });
  port.on_message<Drawing>([&](Drawing drawing) {
    double sum = 0;
    for (const auto& shape : drawing.shapes) sum += shape->area();
    const bool shared = drawing.shapes.front() == drawing.shapes.back();
    port.post_message(std::to_string(sum) + (shared ? ", the first is the last" : ""));
  });
  portolan::EventLoop::current().run();  // until the other end closes
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("measure")) return measure(), 0;

  portolan::Worker worker("/proc/self/exe", {"measure"});
  const auto circle = std::make_shared<Circle>(1);
  worker.post_message(std::vector<Drawing>(2));  // a mistake
  worker.post_message(Drawing{{circle, std::make_shared<Rectangle>(2, 3), circle}});
  std::string said[2];
  for (std::string& answer : said) {
    answer = worker.port().receive()->data<std::string>();
    std::puts(answer.c_str());
  }
  const bool right =
      said[0] == "value: sent: std::vector<org.example.Drawing>, read as: org.example.Drawing" &&
      said[1] == "12.280000, the first is the last";
  return right ? 0 : 1;
}
