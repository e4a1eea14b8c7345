//! Looks at the cluster all the time, says each change of state, and waits for states.

use super::Said;
use super::node::Node;
use super::picture::Picture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout_at};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What is called with each line for people.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The look-out.
pub struct Watch {
    pictures: watch::Receiver<Arc<Picture>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to look at these nodes; `say` gets a line for each change.
    pub fn begin(nodes: &[Node], say: Say) -> Watch {
        let addresses: Vec<String> = nodes.iter().map(|n| n.address.to_string()).collect();
        let (sender, pictures) = watch::channel(Arc::new(Picture::blank(nodes)));
        let task = tokio::spawn(async move {
            let mut said = BTreeMap::new();
            loop {
                let picture = Picture::take(&addresses).await;
                for (who, what) in picture.lines() {
                    if said.get(&who) != Some(&what) {
                        say(&format!("{who:<8} {what}"));
                        said.insert(who, what);
                    }
                }
                if sender.send(Arc::new(picture)).is_err() {
                    return; // nobody looks any more
                }
                sleep(PAUSE).await;
            }
        });
        Watch { pictures, task }
    }

    /// The newest picture.
    pub fn now(&self) -> Arc<Picture> {
        self.pictures.borrow().clone()
    }

    /// Waits for a picture, asked for after this call, of which `is_so` holds.
    ///
    /// # Errors
    /// There is none in time: what was waited for, and what was seen instead.
    pub async fn until(
        &mut self,
        what: &str,
        patience: Duration,
        mut is_so: impl FnMut(&Picture) -> bool,
    ) -> Said<Arc<Picture>> {
        let begun = Instant::now();
        let deadline = begun + patience;
        loop {
            let changed = timeout_at(deadline.into(), self.pictures.changed()).await;
            let picture = self.pictures.borrow_and_update().clone();
            if matches!(changed, Ok(Ok(()))) {
                if picture.asked >= begun && is_so(&picture) {
                    return Ok(picture);
                }
                continue;
            }
            let seen = match picture.missing() {
                None => "all is well otherwise".to_owned(),
                Some(missing) => missing,
            };
            return Err(format!(
                "{what}: not within {} s ({seen})",
                patience.as_secs()
            ));
        }
    }

    /// Waits until everything is as it should be.
    ///
    /// # Errors
    /// It is not in time: what is missing.
    pub async fn until_healthy(&mut self, patience: Duration) -> Said<Arc<Picture>> {
        self.until("healthy and in sync", patience, Picture::is_healthy)
            .await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
