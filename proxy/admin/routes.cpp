#include "proxy/admin/routes.hpp"

#include <utility>

namespace fairlead::proxy {
namespace {

HttpReply text_reply(unsigned status, std::string body) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  return reply;
}

HttpReply verdict(const std::string& reason) {
  return reason.empty() ? text_reply(200, "ok\n") : text_reply(503, reason + "\n");
}

HttpReply answer(const HealthProvider& provider, std::string_view path) {
  if (path == "/healthz") return verdict(provider.fault());
  if (path == "/readyz") {
    const std::string fault = provider.fault();
    return verdict(fault.empty() ? provider.ready() : fault);
  }
  if (path == "/metrics") {
    HttpReply reply = text_reply(200, provider.metrics());
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return reply;
  }
  return text_reply(404, "not found; here are /healthz, /readyz and /metrics\n");
}

}  // namespace

std::vector<std::string> probe_paths() {
  return {"/healthz", "/readyz"};
}

HttpHandler make_routes(HealthProvider provider) {
  return [provider = std::move(provider)](const HttpRequestView& request) {
    if (request.method == "GET" || request.method == "HEAD") return answer(provider, path_of(request.target));
    HttpReply reply = text_reply(405, "only GET and HEAD are allowed here\n");
    reply.headers.emplace_back("Allow", "GET, HEAD");
    return reply;
  };
}

}  // namespace fairlead::proxy
