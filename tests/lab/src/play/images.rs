//! What is in each image that the charts and `tenant` name: a table, and nothing but data.
//!
//! No registry is asked. An image is a Debian 12 root file system with `sh`, `git`, `curl`, CA certificates, Node.js and
//! Python, this program at [`PROGRAM`], and what its entry here adds; it is imported under the reference that the
//! charts use. Entry point, arguments and working directory are those of the real image as far as charts depend on them.
//!
//! [`Image::user`] is a number for every image whose containers must not be root: some of the real ones are made for root
//! or name their user by word, which a kubelet refuses under `runAsNonRoot`. On OpenShift its security context
//! constraints choose a number; the lab has none, and elsewhere the charts say `runAsUser` themselves.

use super::Part;

/// A web server in the Gitea MCP server's place that does not speak MCP: for whoever wants to see what becomes of an order
/// that names the wrong image.
pub const NO_MCP: &str = "localhost/no-mcp:1";

/// Where this program is in every image.
pub const PROGRAM: &str = "/usr/local/bin/lab";

/// What answers in an image's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A part of this program.
    Part(Part),
    /// The real thing, or as good as it, from Debian's packages alone.
    Debian,
    /// A real program that the lab builds or downloads, by the name of that build, found on the path under that name.
    Build(&'static str),
}

/// A file of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is; folders above it are made.
    pub path: &'static str,
    /// Permissions.
    pub mode: u32,
    /// What is in it.
    pub content: &'static str,
}

/// An image. Lists that are empty leave the base as it is.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// The name it is imported under.
    pub reference: &'static str,
    /// `ENTRYPOINT`.
    pub entrypoint: &'static [&'static str],
    /// `CMD`.
    pub cmd: &'static [&'static str],
    /// `USER`, as a number; empty for root.
    pub user: &'static str,
    /// `WORKDIR`; empty for `/`.
    pub directory: &'static str,
    /// `ENV`, as `NAME=value`.
    pub environment: &'static [&'static str],
    /// Files it has beside those of the base.
    pub files: &'static [File],
    /// Symbolic links: where, and to what.
    pub links: &'static [(&'static str, &'static str)],
    /// Debian packages beside those of the base.
    pub packages: &'static [&'static str],
    /// What answers.
    pub holds: Holds,
    /// What it stands for, and the document that says how that behaves.
    pub stands_for: &'static str,
}

const BARE: Image = Image {
    reference: "",
    entrypoint: &[],
    cmd: &["/bin/sh"],
    user: "",
    directory: "",
    environment: &[],
    files: &[],
    links: &[],
    packages: &[],
    holds: Holds::Debian,
    stands_for: "",
};

const fn script(path: &'static str, content: &'static str) -> File {
    File { path, mode: 0o755, content }
}

const LIBRECHAT: Image = Image {
    reference: "ghcr.io/danny-avila/librechat:v0.8.1",
    cmd: &[PROGRAM, "play", "librechat"],
    user: "1000",
    directory: "/app",
    files: &[File {
        path: "/app/config/create-user.js",
        mode: 0o644,
        content: include_str!("files/create-user.js"),
    }],
    holds: Holds::Part(Part::Librechat),
    stands_for: "LibreChat (danny-avila/LibreChat: Dockerfile, api/server, config/create-user.js)",
    ..BARE
};

const MONGODB: Image = Image {
    reference: "docker.io/library/mongo:8.0.20",
    // the charts give arguments alone, which the real entry point hands to mongod
    entrypoint: &[PROGRAM, "play", "mongodb"],
    cmd: &[],
    user: "999",
    holds: Holds::Part(Part::Mongodb),
    stands_for: "MongoDB (docker-library/mongo: docker-entrypoint.sh), without its wire protocol",
    ..BARE
};

const MEILISEARCH: Image = Image {
    reference: "docker.io/getmeili/meilisearch:v1.7.3",
    cmd: &[PROGRAM, "play", "meilisearch"],
    user: "1000",
    directory: "/meili_data",
    environment: &["MEILI_HTTP_ADDR=0.0.0.0:7700"],
    holds: Holds::Part(Part::Meilisearch),
    stands_for: "Meilisearch (meilisearch.com/docs: instance options, health, authorization)",
    ..BARE
};

const GITEA_MCP: Image = Image {
    reference: "docker.gitea.com/gitea-mcp-server:1.8.0",
    cmd: &["/app/gitea-mcp"],
    user: "65532",
    directory: "/app",
    files: &[script("/app/gitea-mcp", include_str!("files/gitea-mcp.sh"))],
    holds: Holds::Part(Part::GiteaMcp),
    stands_for: "gitea-mcp 1.8 (MCP reference, 2.1 to 2.4)",
    ..BARE
};

const SHOWROOM_CONTENT: Image = Image {
    reference: "quay.io/rhpds/showroom-content:v1.4.2",
    cmd: &[PROGRAM, "play", "showroom-content"],
    user: "1001",
    holds: Holds::Part(Part::ShowroomContent),
    stands_for: "Showroom's content server (provisioning reference, 7.3)",
    ..BARE
};

/// All images.
pub const IMAGES: &[Image] = &[
    LIBRECHAT,
    MONGODB,
    MEILISEARCH,
    GITEA_MCP,
    SHOWROOM_CONTENT,
    // what `tenant` orders without Argo CD
    Image { reference: "ghcr.io/rhpds/showroom-content:v1.3.1", ..SHOWROOM_CONTENT },
    Image {
        reference: "ghcr.io/rhpds/git-cloner:v1.0.0",
        cmd: &["/usr/local/bin/git-cloner"],
        user: "1001",
        files: &[script("/usr/local/bin/git-cloner", include_str!("files/git-cloner.sh"))],
        stands_for: "Showroom's git cloner (provisioning reference, 7.3), with the real git",
        ..BARE
    },
    Image {
        reference: "ghcr.io/rhpds/antora:v0.0.2",
        cmd: &["antora"],
        user: "1001",
        files: &[script("/usr/local/bin/antora", include_str!("files/antora.sh"))],
        holds: Holds::Part(Part::Antora),
        stands_for: "Antora (docs.antora.org: playbook, component descriptor, page URLs)",
        ..BARE
    },
    Image {
        reference: "quay.io/rhpds/nginx:1.25",
        cmd: &["nginx", "-g", "daemon off;"],
        user: "1001",
        // as nginx's own image has them: no user may write below /var/log
        links: &[("/var/log/nginx/access.log", "/dev/stdout"), ("/var/log/nginx/error.log", "/dev/stderr")],
        packages: &["nginx"],
        stands_for: "nginx, the real one of Debian",
        ..BARE
    },
    Image {
        reference: "quay.io/rhpds/openshift-showroom-terminal-ocp:4.20",
        cmd: &[PROGRAM, "play", "showroom-terminal"],
        user: "1001",
        directory: "/home/lab-user",
        holds: Holds::Part(Part::ShowroomTerminal),
        stands_for: "Showroom's terminal (provisioning reference, 7.3), one line of shell at a time",
        ..BARE
    },
    Image {
        reference: "quay.io/containers/kubernetes_mcp_server:v0.0.67",
        entrypoint: &["kubernetes-mcp-server"],
        cmd: &[],
        user: "65532",
        holds: Holds::Build("kubernetes-mcp-server"),
        stands_for: "the OpenShift and Kubernetes MCP server, the real one (MCP reference, 1.1)",
        ..BARE
    },
    Image {
        reference: "ghcr.io/opendatahub-io/rhoai-mcp:0.1.1",
        entrypoint: &["rhoai-mcp"],
        cmd: &[],
        user: "1000",
        holds: Holds::Build("rhoai-mcp"),
        stands_for: "the RHOAI MCP server, the real one (RHOAI and Kubeflow MCP reference, 1)",
        ..BARE
    },
    Image {
        reference: "ghcr.io/kubeflow/mcp-server:0.1.1",
        // its own start ignores arguments: the charts give a command of theirs
        entrypoint: &["sh", "-c", "exec kubeflow-mcp serve --transport ${MCP_TRANSPORT:-http}"],
        cmd: &[],
        user: "65532",
        environment: &["FASTMCP_HOST=0.0.0.0"],
        holds: Holds::Build("kubeflow-mcp"),
        stands_for: "the Kubeflow MCP server, the real one (RHOAI and Kubeflow MCP reference, 2)",
        ..BARE
    },
    Image {
        reference: NO_MCP,
        cmd: &["/app/gitea-mcp"],
        user: "65532",
        files: &[script("/app/gitea-mcp", "#!/bin/sh\nexec python3 -m http.server --directory /tmp 8080\n")],
        stands_for: "an image that somebody ordered by mistake",
        ..BARE
    },
    Image {
        reference: "quay.io/rhpds/tenant:0.1.0",
        cmd: &["tenant", "--help"],
        user: "1001",
        directory: "/tmp",
        holds: Holds::Build("tenant"),
        stands_for: "our two programs, built from the Containerfile",
        ..BARE
    },
    Image {
        reference: "quay.io/rhpds/gitea:1.25.4",
        entrypoint: &["/usr/local/bin/gitea-server"],
        cmd: &[],
        user: "1001",
        files: &[script("/usr/local/bin/gitea-server", include_str!("files/gitea-server.sh"))],
        holds: Holds::Build("gitea"),
        stands_for: "Gitea, the real one in the lab's version, as the Gitea operator starts it (provisioning reference, 4)",
        ..BARE
    },
    Image {
        reference: "registry.redhat.io/rhel10/postgresql-16:10.1",
        entrypoint: &["/usr/local/bin/run-postgresql"],
        cmd: &[],
        user: "26",
        files: &[
            script("/usr/local/bin/run-postgresql", include_str!("files/run-postgresql.sh")),
            File { path: "/etc/passwd", mode: 0o644, content: include_str!("files/postgresql.passwd") },
        ],
        packages: &["postgresql-15"],
        stands_for: "PostgreSQL, the real one of Debian, with the environment of sclorg's image",
        ..BARE
    },
    Image {
        reference: "registry.access.redhat.com/ubi9/ubi-minimal:9.6",
        stands_for: "a shell with curl, which the base is",
        ..BARE
    },
    Image {
        reference: "docker.io/alpine/git:2.49.1",
        entrypoint: &["git"],
        cmd: &["--help"],
        stands_for: "git with a shell, which the base is",
        ..BARE
    },
    Image {
        reference: "docker.io/alpine/k8s:1.34.1",
        holds: Holds::Build("kubectl"),
        stands_for: "kubectl, curl and a shell: kubectl is the real one of the lab's Kubernetes",
        ..BARE
    },
    Image {
        reference: "quay.io/buildah/stable:v1.43.1",
        packages: &["buildah"],
        stands_for: "buildah, the real one of Debian (1.28)",
        ..BARE
    },
];

/// The entry of an image.
pub fn find(reference: &str) -> Option<&'static Image> {
    IMAGES.iter().find(|image| image.reference == reference)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Images that a test case of a chart chooses itself, to show that one can.
    const CHOSEN_BY_A_CASE: [&str; 1] = ["docker.io/library/mongo:8.0"];

    /// Words with a host, a path and a tag in a file below the top of the repository.
    fn references(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // programs are read up to their tests, which name images that do not exist
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || "\"'`,()[]{}".contains(c);
        let is_reference = |word: &&str| {
            let Some((host, rest)) = word.split_once('/') else { return false };
            let Some((_, tag)) = rest.rsplit_once(':') else { return false };
            host.contains('.')
                && !host.contains(':')
                && tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v')
        };
        text.split(ends).filter(is_reference).map(str::to_owned).collect()
    }

    fn files(folder: &Path, extension: &str) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut found = Vec::new();
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                found.extend(files(&path, extension));
            } else if path.extension().is_some_and(|known| known == extension) {
                found.push(path);
            }
        }
        found
    }

    #[test]
    fn no_image_of_the_charts_and_the_program_is_forgotten_and_none_is_idle() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (charts, program) =
            (files(&top.join("tests/charts"), "snap"), files(&top.join("cli/src/steps"), "rs"));
        let mut used: BTreeSet<String> =
            charts.iter().chain(&program).flat_map(|path| references(path)).collect();
        assert!(used.len() > 10, "the search finds too little: {used:?}");
        // written apart in the program: repository and tag
        used.extend(
            ["quay.io/rhpds/gitea:1.25.4", "registry.redhat.io/rhel10/postgresql-16:10.1"].map(str::to_owned),
        );
        let mut known: BTreeSet<String> = IMAGES.iter().map(|image| image.reference.to_owned()).collect();
        assert!(known.remove(NO_MCP), "tests order it");
        used.retain(|reference| !CHOSEN_BY_A_CASE.contains(&reference.as_str()));
        let forgotten: Vec<_> = used.difference(&known).collect();
        assert!(forgotten.is_empty(), "no entry for {forgotten:?}");
        let idle: Vec<_> = known.difference(&used).collect();
        assert!(idle.is_empty(), "nobody uses {idle:?}");
    }

    #[test]
    fn entries_are_complete() {
        for image in IMAGES {
            let name = image.reference;
            assert!(!image.stands_for.is_empty(), "{name} says not what it stands for");
            assert!(image.user.bytes().all(|byte| byte.is_ascii_digit()), "{name}: a user by word");
            assert!(!(image.entrypoint.is_empty() && image.cmd.is_empty()), "{name} starts nothing");
            let started = [image.entrypoint, image.cmd].concat();
            let plays =
                started.contains(&PROGRAM) || image.files.iter().any(|file| file.content.contains(PROGRAM));
            assert_eq!(plays, matches!(image.holds, Holds::Part(_)), "{name}");
            for file in image.files {
                assert!(file.path.starts_with('/') && !file.content.is_empty(), "{name}: {}", file.path);
                let script = file.content.starts_with("#!");
                assert_eq!(script, file.mode & 0o111 != 0, "{name}: {} and its mode", file.path);
            }
        }
    }
}
