// SPDX-License-Identifier: Apache-2.0
//! Asks pkg-config how to link libagentsh-ebpf. The environment variable PKG_CONFIG names another
//! program, for example that of a cross compiler.

use std::env;
use std::path::Path;
use std::process::{exit, Command};

fn fail(message: &str) -> ! {
    eprintln!("agentsh-ebpf-sys: {message}");
    exit(1);
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    } else {
        Err(format!(
            "'{program} {}' failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}

/// The directory of an archive that the C compiler finds without an option.
fn directory_of(archive: &str) -> Option<String> {
    let compiler = env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_string());
    let path = run(&compiler, &[&format!("-print-file-name={archive}")]).ok()?;
    let directory = Path::new(&path).parent()?.to_str()?;
    (!directory.is_empty()).then(|| directory.to_string())
}

/// Links the archive of a library that libagentsh-ebpf.a needs, in a program that is linked with
/// -static.
fn link_archive(name: &str) {
    if let Some(directory) = directory_of(&format!("lib{name}.a")) {
        println!("cargo:rustc-link-search=native={directory}");
    }
    println!("cargo:rustc-link-lib=static:-bundle={name}");
}

fn main() {
    for name in [
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "PKG_CONFIG_SYSROOT_DIR",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let all_static = features.split(',').any(|feature| feature == "crt-static");
    let archive = env::var_os("CARGO_FEATURE_STATIC").is_some() || all_static;
    let package = if archive {
        "agentsh-ebpf-static"
    } else {
        "agentsh-ebpf"
    };
    let pkg_config = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_string());

    let wanted = format!("{package} >= 1.0.0");
    if let Err(error) = run(&pkg_config, &["--print-errors", "--exists", &wanted]) {
        fail(&format!(
            "{error}\nInstall libagentsh-ebpf, or set PKG_CONFIG_PATH."
        ));
    }
    let mut arguments = vec!["--libs", package];
    if all_static {
        arguments.insert(0, "--static");
    }
    let words = run(&pkg_config, &arguments).unwrap_or_else(|error| fail(&error));
    // pkg-config does not print a directory that the C compiler searches by default.
    if let Ok(directory) = run(&pkg_config, &["--variable=libdir", package]) {
        println!("cargo:rustc-link-search=native={directory}");
    }
    for word in words.split_whitespace() {
        if let Some(directory) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={directory}");
        } else if let Some(file) = word.strip_prefix("-l:") {
            let name = file
                .strip_prefix("lib")
                .and_then(|rest| rest.strip_suffix(".a"));
            match name {
                Some(name) => println!("cargo:rustc-link-lib=static={name}"),
                None => fail(&format!("'{word}' of {package}.pc is not an archive")),
            }
        } else if let Some(name) = word.strip_prefix("-l") {
            match name {
                "pthread" | "c" => {} // the standard library of Rust links them
                _ if all_static => link_archive(name),
                _ => println!("cargo:rustc-link-lib={name}"),
            }
        } else if word != "-pthread" {
            fail(&format!("'{word}' of {package}.pc is not known"));
        }
    }
}
