# SPDX-License-Identifier: Apache-2.0
# A Debian package of what `cmake --install` installs with the prefix /usr: ./run package.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME openbeam)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
# Who makes the package, as Debian's tools have it.
set(CPACK_PACKAGE_CONTACT "openbeam <openbeam@localhost>")
if(DEFINED ENV{DEBEMAIL})
  set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "real-time detector stream processor")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Takes detector frames off ZeroMQ at the rate of the camera, corrects and
reduces them, writes TIFF, HDF5/NeXus or raw files with io_uring, and shows
the measurement while it runs. No frame is lost without being on record.")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "fio, prometheus, python3")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_LIST_DIR}/package/postinst ${CMAKE_CURRENT_LIST_DIR}/package/prerm
    ${CMAKE_CURRENT_LIST_DIR}/package/postrm ${CMAKE_CURRENT_LIST_DIR}/package/conffiles)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # files go to /etc, too
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package/debian_doc.cmake)
include(CPack)
