// The operator's console: what one connection says, in RESP, and what it is answered. Pure; owned by its
// connection; lives on the control thread. It shows what the page shows and does what the page may do.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "proxy/admin/http_login.hpp"
#include "proxy/admin/pages.hpp"
#include "proxy/options.hpp"
#include "resp/command_reader.hpp"
#include "resp/types.hpp"

namespace fairlead::proxy {

struct ConsoleProvider {
  std::function<AdminSnapshot()> snapshot;
  ActFunction act;
  MayAct may_act = MayAct::no;
  HttpLogin login;                   // the page's; without a password nobody is asked
  const Options* options = nullptr;  // for SHOW CONFIG; outlives the console
};

class ConsoleDialog {
 public:
  enum class Next : std::uint8_t {
    go_on,
    close,
    wait,  // the answer comes by Later; nothing else may be asked before
  };
  using Later = std::function<void(std::string answer)>;

  /// `peer` is who asks, as an address.
  ConsoleDialog(const ConsoleProvider& provider, std::string peer)
      : provider_(provider), peer_(std::move(peer)), authenticated_(provider.login.password.empty()) {}

  /// Appends the answer to `out`, or calls `later` once with it, after this has returned `wait`.
  [[nodiscard]] Next answer(const resp::CommandView& command, std::string& out, Later later);
  [[nodiscard]] bool authenticated() const { return authenticated_; }

 private:
  using View = resp::CommandView;
  void hello(const View& command, std::string& out);
  void auth(const View& command, std::string& out);
  void show(const View& command, std::string& out);
  [[nodiscard]] Next act(const ActionSpec& spec, const View& command, std::string& out, Later later);
  void latency(const View& command, std::string& out);
  void help(const View& command, std::string& out);
  void slow_log(const View& command, std::string& out);
  [[nodiscard]] bool log_in(std::string_view user, std::string_view password);
  void append_lines(std::string& out, const std::vector<std::string>& lines) const;

  const ConsoleProvider& provider_;
  const std::string peer_;
  std::string user_;  // who has logged in
  resp::Version version_ = resp::Version::resp2;
  bool authenticated_;
};

}  // namespace fairlead::proxy
