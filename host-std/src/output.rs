//! The writing of files: every file of this crate is written by this module, so that all of them treat an existing file alike.
//!
//! | use | for |
//! |---|---|
//! | [`OutputFile::create`] | a file that replaces an older one. It is written under another name beside it and renamed when it is whole, so that a failure, also a killed process, leaves the old file as it was. Its permissions stay those of the old file. |
//! | [`OutputFile::in_place`] | a file that grows under its own name from the first byte on: a recording, of which everything up to the last second counts |
//! | [`OutputFile::private`] | a file that replaces an older one, and that afterwards only its owner may read: keys, and descriptions with keys in them |
//! | [`write()`] | a small file that is written at once |
//!
//! A file of settings that is never seen half written:
//!
//! ```
//! # let path = std::env::temp_dir().join(format!("doc-output-page-{}.txt", std::process::id()));
//! host_std::output::write(&path, "volume = 3")?;
//! assert_eq!(std::fs::read_to_string(&path)?, "volume = 3");
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! **Limits.** Anything but an ordinary file with one name is written directly, in place: a symbolic link, a file with several
//! names (hard links) or another owner, a pipe, a device. So is a file in a folder that can't be written to.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The number of names that are tried for the file beside it: each has 64 random bits.
const TRIES: usize = 8;

/// A file that is being written. [`finish`](Self::finish) completes it; without that, a replacing file leaves the old one
/// unchanged.
///
/// In this example a program that is stopped midway leaves the old file unchanged:
///
/// ```
/// use std::io::Write;
///
/// use host_std::output::{self, OutputFile};
///
/// let path = std::env::temp_dir().join(format!("doc-output-{}.txt", std::process::id()));
/// output::write(&path, "old")?;
/// let mut file = OutputFile::create(&path)?;
/// file.write_all(b"half of the ne")?;
/// drop(file); // without `finish`
/// assert_eq!(std::fs::read_to_string(&path)?, "old");
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct OutputFile {
    /// `None` once it is closed.
    file: Option<File>,
    path: PathBuf,
    part: Option<PathBuf>,
    /// Those of the file that it replaces.
    permissions: Option<Permissions>,
}

impl OutputFile {
    /// Opens a file that replaces the one at `path` when it is finished.
    ///
    /// # Errors
    /// The error of the file system if the file can't be created, because the folder is missing, say.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::replace(path.as_ref(), false)
    }

    /// Does the same with a file that only its owner can read from its first moment: mode 0600 where the system has such rights.
    /// A file that is written through (a link's) loses its wider rights before the first byte; a pipe or a device keeps its own.
    ///
    /// # Errors
    /// The file system's error; also where a file can't be made private.
    pub fn private(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::replace(path.as_ref(), true)
    }

    /// Opens the file at `path` itself, empties it or makes it, and lets it grow there.
    ///
    /// # Errors
    /// The error of the file system if the file can't be created or emptied.
    pub fn in_place(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        Ok(Self::of(File::create(path)?, path))
    }

    fn replace(path: &Path, private: bool) -> io::Result<Self> {
        // Where no file can be made beside it, opening the file itself gives the error, or succeeds in writing it directly.
        match beside(path, private) {
            Ok(Some(beside)) => Ok(beside),
            _ if private => Ok(Self::of(open_private(path)?, path)),
            _ => Ok(Self::of(File::create(path)?, path)),
        }
    }

    fn of(file: File, path: &Path) -> Self {
        Self { file: Some(file), path: path.into(), part: None, permissions: None }
    }

    /// Returns whether the file can be rewound: a pipe can't.
    pub fn is_ordinary(&self) -> bool {
        self.file.as_ref().and_then(|file| file.metadata().ok()).is_some_and(|metadata| metadata.is_file())
    }

    /// It is whole: closes it, and lets it take its name.
    ///
    /// # Errors
    /// The error of the file system if the file can't be written to its end or renamed. The old file is then as it was.
    pub fn finish(mut self) -> io::Result<()> {
        self.file = None;
        let Some(part) = &self.part else { return Ok(()) };
        if let Some(permissions) = self.permissions.take() {
            fs::set_permissions(part, permissions)?;
        }
        fs::rename(part, &self.path)?;
        self.part = None;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file()?.seek(to)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        self.file = None;
        if let Some(part) = &self.part {
            let _ = fs::remove_file(part);
        }
    }
}

/// Replaces the file at `path` by `bytes`, as [`OutputFile::create`] does.
///
/// # Errors
/// The error of the file system if the file can't be written. An old file is then as it was.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.finish()
}

/// Does the same with a file that only its owner can read, as [`OutputFile::private`] does.
///
/// # Errors
/// The file system's error; also where a file can't be made private.
pub fn write_private(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = OutputFile::private(path)?;
    file.write_all(bytes.as_ref())?;
    file.finish()
}

/// Creates an empty file beside `path` under a new name; `None` or an error where `path` itself is to be written.
fn beside(path: &Path, private: bool) -> io::Result<Option<OutputFile>> {
    let old = match fs::symlink_metadata(path) {
        Ok(old) if !old.is_file() || has_other_names(&old) => return Ok(None),
        Ok(old) => {
            // A file that may not be written may not be replaced.
            drop(OpenOptions::new().write(true).open(path)?);
            Some(old)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let Some(name) = path.file_name() else { return Ok(None) };
    for _ in 0..TRIES {
        let number = getrandom::u64().map_err(io::Error::other)?;
        let mut beside = name.to_owned();
        beside.push(format!(".{number:016x}.part"));
        let part = path.with_file_name(beside);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // The old file may have been private: the new one is until it has the same rights.
        #[cfg(unix)]
        if private || old.is_some() {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let file = match options.open(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        let new = file.metadata();
        let mut output = OutputFile { file: Some(file), path: path.into(), part: Some(part), permissions: None };
        if let Some(old) = old {
            if !new.is_ok_and(|new| same_owner(&old, &new)) {
                return Ok(None);
            }
            output.permissions = Some(old.permissions()).filter(|_| !private);
        }
        return Ok(Some(output));
    }
    Ok(None)
}

#[cfg(unix)]
fn has_other_names(file: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn same_owner(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.uid(), one.gid()) == (other.uid(), other.gid())
}

#[cfg(not(unix))]
fn same_owner(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// Opens the file at `path` itself and makes it private before any of its content changes.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        file.set_len(0)?;
    }
    Ok(file)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("media-core-{}-output-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_when_it_is_whole_and_keeps_its_rights() {
        let folder = folder("replaced");
        let path = folder.join("file");
        for old_mode in [0o600, 0o640, 0o666] {
            fs::write(&path, "old").unwrap();
            set_mode(&path, old_mode);
            let inode = fs::metadata(&path).unwrap().ino();
            let mut file = OutputFile::create(&path).unwrap();
            file.write_all(b"new").unwrap();
            // Meanwhile nothing is wider than it will be.
            for entry in fs::read_dir(&folder).unwrap() {
                assert_eq!(mode(&entry.unwrap().path()) & !old_mode, 0);
            }
            assert_eq!(fs::read(&path).unwrap(), b"old");
            file.finish().unwrap();
            assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), old_mode));
            assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
            fs::remove_file(&path).unwrap();
        }
        // What isn't finished leaves nothing.
        drop(OutputFile::create(&path).unwrap());
        assert_eq!(names(&folder), 0);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_private_is_so_from_its_first_byte_whatever_was_there() {
        let folder = folder("private");
        let (path, link) = (folder.join("file"), folder.join("link"));
        let (other, hard) = (folder.join("other"), folder.join("hard"));
        symlink("other", &link).unwrap();
        for there in [false, true] {
            for path in [&path, &link, &hard] {
                if there {
                    fs::write(&other, "of long ago").unwrap();
                    let _ = fs::remove_file(&hard);
                    fs::hard_link(&other, &hard).unwrap();
                    fs::write(path, "of long ago").unwrap();
                    set_mode(path, 0o644);
                }
                let mut file = OutputFile::private(path).unwrap();
                let part = file.part.clone().unwrap_or_else(|| path.clone());
                assert_eq!(mode(&part), 0o600, "{path:?}");
                file.write_all(b"secret").unwrap();
                file.finish().unwrap();
                assert_eq!((fs::read(path).unwrap(), mode(path)), (b"secret".to_vec(), 0o600), "{path:?}");
            }
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&hard).unwrap().ino(), fs::metadata(&other).unwrap().ino());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn links_and_pipes_are_written_through_and_nobody_elses_file_is_touched() {
        let folder = folder("through");
        let (target, link, hard) = (folder.join("target"), folder.join("link"), folder.join("hard"));
        fs::write(&target, "old").unwrap();
        set_mode(&target, 0o640);
        symlink("target", &link).unwrap();
        fs::hard_link(&target, &hard).unwrap();
        fs::write(folder.join("link.part"), "the user's own").unwrap();
        for (path, text) in [(&link, "by the link"), (&hard, "by the other name")] {
            write(path, text).unwrap();
            assert_eq!((fs::read_to_string(&target).unwrap().as_str(), mode(&target)), (text, 0o640));
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(folder.join("link.part")).unwrap(), b"the user's own");

        let pipe = folder.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        set_mode(&pipe, 0o644);
        for private in [false, true] {
            let reader = {
                let pipe = pipe.clone();
                std::thread::spawn(move || {
                    let mut text = String::new();
                    File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                    text
                })
            };
            if private { write_private(&pipe, "through") } else { write(&pipe, "through") }.unwrap();
            assert_eq!(reader.join().unwrap(), "through");
            assert_eq!(mode(&pipe), 0o644);
        }
        assert!(!fs::metadata(&pipe).unwrap().is_file());
        assert_eq!(names(&folder), 5);

        // A folder, and one that isn't there.
        assert_eq!(write(&folder, "").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(write(folder.join("none/file"), "").unwrap_err().kind(), io::ErrorKind::NotFound);
        #[cfg(target_os = "linux")]
        assert_eq!(write("/dev/full", "x").unwrap_err().kind(), io::ErrorKind::StorageFull);
        fs::remove_dir_all(folder).unwrap();
    }
}
