# The admin side, relative to proxy/: the Observer, what renders its snapshots, and the page's files.
set(page_files admin/page/index.html admin/page/style.css admin/page/app.js admin/page/actions.js admin/page/view.js admin/page/charts.js
  admin/page/favicon.svg)
list(TRANSFORM page_files PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
set(page_source ${CMAKE_CURRENT_BINARY_DIR}/page_files.cpp)
add_custom_command(OUTPUT ${page_source}
  COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${page_source}" "-DFILES=${page_files}"
          -P ${CMAKE_CURRENT_SOURCE_DIR}/admin/embed_page.cmake
  DEPENDS ${page_files} ${CMAKE_CURRENT_SOURCE_DIR}/admin/embed_page.cmake
  COMMENT "Embedding the stats page" VERBATIM)

add_library(fairlead_admin STATIC
  metrics.cpp admin/action.cpp admin/api.cpp admin/api_parts.cpp admin/boost_json.cpp admin/console.cpp admin/console_table.cpp
  admin/console_topics.cpp admin/haproxy_table.cpp admin/observer.cpp admin/outage_log.cpp
  admin/pages.cpp admin/text.cpp ${page_source})
target_link_libraries(fairlead_admin PUBLIC fairlead_engine fairlead_config fairlead_vrrp_core fmt::fmt)
